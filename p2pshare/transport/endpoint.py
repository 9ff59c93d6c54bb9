"""This program on the network: who it is, what it says of itself, how it reaches others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from p2pshare import limits
from p2pshare.identity import Identity, NodeId
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.handshake import NoiseStatic
from p2pshare.transport.network import TCP, Network
from p2pshare.wire.fields import Role
from p2pshare.wire.session import Hello


@dataclass(frozen=True)
class Endpoint:
    """Made once per process and handed to whoever dials or serves."""

    identity: Identity
    static: NoiseStatic
    hello: Hello
    network: Network
    random_bytes: Callable[[int], bytes]
    buffers: SpareBuffers = field(default_factory=SpareBuffers)
    """Memory for sealing and opening, shared by all connections."""

    @property
    def node(self) -> NodeId:
        return self.identity.node_id

    @classmethod
    def create(
        cls,
        identity: Identity,
        role: Role = Role.CLIENT,
        *,
        agent: str = "p2pshare",
        network: Network = TCP,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> Endpoint:
        """`agent` names the program to the other side. Simulations pass their own network and randomness."""
        static = NoiseStatic.create(identity, random_bytes(limits.KEY_BYTES))
        hello = Hello(role=role, versions=(limits.PROTOCOL_VERSION,), agent=agent)
        return cls(identity, static, hello, network, random_bytes)
