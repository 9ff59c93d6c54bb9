"""Wishes: searches that index servers keep for us, what they found, and what is downloaded by itself.

Start at `wishes.py`. `store.py` keeps both in the library, `automatic.py` (PURE) decides what is downloaded
without asking the person.
"""
