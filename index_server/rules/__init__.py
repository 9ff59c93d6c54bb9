"""What a server's people may do, and what is done about those who spoil it for others.

Start at `moderation.py`: everything that a moderator can do is a call of `Moderation`, whether it comes over
the wire (`answers.py`) or from the operator's own console. `roles.py` says who may do what, `bans.py` whom a
ban hits, `suspicion.py` which results are ranked down and why. What is done is on disk first (`records.py`).
"""
