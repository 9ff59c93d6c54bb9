"""The p2pshare protocol library: everything that is needed to write a client, a bot or an index server.

A tour of the code, an afternoon long:

1. `wire/peer.py` and `wire/index.py`: what is said, each message declared once; `wire/schema.py`: how a
declaration
   becomes checking, encoding and the tables of protocol.md.
2. `session/states.py`: who may say what, when; `session/session.py`: bytes in, events out.
3. `transport/channel.py`: a session on a stream, with trio: ask and be answered.
4. `hashing.py`: what a file is; `tickets.py`: who may come in.
5. `index_server/commands.py` and `client/engine/engine.py`: the two programs made of all this.

Imports point down only: transport -> session -> wire -> the modules beside this one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2pshare.addresses import Address, parse_address_untrusted
    from p2pshare.errors import (
        BadMessage,
        Disconnected,
        LocalTrouble,
        Misuse,
        P2PError,
        PeerFault,
        Reason,
        Refused,
    )
    from p2pshare.hashing import FileHasher, FileId, format_file_id, hash_piece, parse_file_id_untrusted
    from p2pshare.identity import Identity, NodeId, create_identity, format_node_id, load_identity, short_id
    from p2pshare.links import FileLink, Invite, format_link, parse_link_untrusted
    from p2pshare.transport.channel import Channel
    from p2pshare.transport.dial import dial
    from p2pshare.transport.endpoint import Endpoint
    from p2pshare.transport.serve import Gate, serve

__all__ = [
    "Address",
    "BadMessage",
    "Channel",
    "Disconnected",
    "Endpoint",
    "FileHasher",
    "FileId",
    "FileLink",
    "Gate",
    "Identity",
    "Invite",
    "LocalTrouble",
    "Misuse",
    "NodeId",
    "P2PError",
    "PeerFault",
    "Reason",
    "Refused",
    "create_identity",
    "dial",
    "format_file_id",
    "format_link",
    "format_node_id",
    "hash_piece",
    "load_identity",
    "parse_address_untrusted",
    "parse_file_id_untrusted",
    "parse_link_untrusted",
    "serve",
    "short_id",
]

# The names come from their modules when they are first used: a program that needs only the hashing does not
# wait for the network library.
_HOMES = (
    "addresses",
    "errors",
    "hashing",
    "identity",
    "links",
    "transport.channel",
    "transport.dial",
    "transport.endpoint",
    "transport.serve",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
