"""In what order, how much and how long: bytes in, events out; messages in, bytes out.

This room holds the Noise handshake, the sealing of records, the frames in them, the table of which message is
allowed when, budgets and keep-alive. It must not know a socket, a clock, a source of randomness, trio, or
what messages mean to anybody: `now` and random bytes are arguments, and whatever a stranger sends ends in
events or in one `PeerFault`. Start at `session.py` and `events.py`; `states.py` is the rule book,
`handshake.py` and `cipher.py` are the ground.
"""
