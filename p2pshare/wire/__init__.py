"""What bytes mean: every message, declared once. PURE: no clock, no socket, no trio.

Start at `schema.py` (how a declaration becomes a codec), then `peer.py` and `index.py` (what is said).
Importing this package registers every message, so that a decoder knows them all.
"""

from p2pshare.wire import account, index, peer, rules, session, wishes
from p2pshare.wire.schema import REGISTRY, Message, Struct, decode_untrusted, encode

__all__ = [
    "REGISTRY",
    "Message",
    "Struct",
    "account",
    "decode_untrusted",
    "encode",
    "index",
    "peer",
    "rules",
    "session",
    "wishes",
]
