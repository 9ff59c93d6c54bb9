"""Wishes: searches that are kept, and held against every new offer instead of being asked again and again.

Start at `percolator.py`, which finds the wishes that an offer is about, with `matching.py` (does this offer
fit this query?); both are PURE. `mailbox.py` keeps what was found until the wisher has it, and `wishes.py`
puts these together and tells people.
"""
