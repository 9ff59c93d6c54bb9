"""The engine: shares, searches, downloads and uploads, on trio, without any window.

Fronts call `face.Face` and draw the frozen snapshots of `status.py`; nothing in here knows who looks at it.
Start reading at `engine.py`, then `downloads/download.py` and `uploads/uploads.py`.
"""
