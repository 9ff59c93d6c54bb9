"""The headless front: the command `p2pshare`. It knows the engine's face and its snapshots, nothing below.

Start at `app.py` (which commands there are), then `run.py` (how a command meets the engine and how it ends).
Reading order of the rest: `words.py` and `output.py` (how things are shown), `follow.py` (live progress),
then the commands by topic: `setup.py`, `sharing.py`, `searching.py`, `finding.py`, `playing.py`
(with `players.py`), `transfers.py`, `network.py`, `keys.py`.
"""
