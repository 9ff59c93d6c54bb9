"""Serving others: who may fetch now (`slots.py`, pure), and the answers to what they ask (`visit.py`).

Knows connections and opened files, not where the files come from. Start reading at `uploads.py`.
"""
