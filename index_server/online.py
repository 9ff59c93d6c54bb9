"""Who is online: connected, or detached for a moment.

Somebody whose connection is lost stays online for a time of grace, with a token to resume by: a train in a
tunnel, a client that changes networks and a server that restarts are nothing that others notice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from index_server.accounts import Accounts
from index_server.rules.suspicion import Newcomers
from index_server.search.catalogue import Catalogue
from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.transport.quiet import QuietChannel
from p2pshare.wire.schema import Message

if TYPE_CHECKING:
    from index_server.hits import Told

MISSED_MAX = 16  # notices kept for one who is detached; the oldest are of no use any more


@dataclass(eq=False, slots=True)
class Visitor:
    """An account that has logged in."""

    account: int
    node: NodeId
    nick: str
    channel: QuietChannel | None
    """None while detached."""
    observed: Address
    """Where the connection comes from, as the server sees it."""
    token: bytes
    """What resumes this session from another connection of the same key."""
    port: int | None = None
    """Where the client takes connections, as it says."""
    reachable: bool = False
    """Whether its own key answered there."""
    registered_at: int = 0
    """Since when the account exists, in Unix seconds."""
    missed: deque[Message] | None = None
    """What it is told once it is back."""
    wait_s: int | None = None
    """How long a newcomer waits for a slot, as they told; None if they did not."""
    told: Told | None = None
    """How others are told of them. None until somebody finds what they have, and again as soon as their nick,
    `reachable`, `wait_s` or speed has changed."""

    @property
    def open_address(self) -> Address | None:
        """Where others can connect to this client; None if they cannot."""
        return Address(self.observed.host, self.port) if self.reachable and self.port is not None else None

    def post(self, message: Message) -> None:
        """Tell them something, now or when they are back."""
        if self.channel is not None:
            self.channel.post(message)
        else:
            self.missed = self.missed or deque(maxlen=MISSED_MAX)
            self.missed.append(message)


class Online:
    """Every visitor, found by account or key; of one account the latest only."""

    def __init__(self) -> None:
        self._by_account: dict[int, Visitor] = {}
        self._by_node: dict[NodeId, Visitor] = {}

    def __len__(self) -> int:
        return len(self._by_account)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(list(self._by_account.values()))

    def channels(self) -> Iterator[QuietChannel]:
        """Of everybody who is connected."""
        return iter([one.channel for one in self._by_account.values() if one.channel is not None])

    def arrive(self, visitor: Visitor) -> Visitor | None:
        """From now on this is the visitor of its account. Returns the one it replaces."""
        older = self._by_account.get(visitor.account)
        self._by_account[visitor.account] = visitor
        self._by_node[visitor.node] = visitor
        return older

    def is_here(self, visitor: Visitor) -> bool:
        """Whether it is still the one of its account."""
        return self._by_account.get(visitor.account) is visitor

    def leave(self, visitor: Visitor) -> bool:
        """It is over. False if it was replaced before, so that the account is still online."""
        if not self.is_here(visitor):
            return False
        del self._by_account[visitor.account]
        del self._by_node[visitor.node]
        return True

    def by_account(self, account: int) -> Visitor | None:
        return self._by_account.get(account)

    def by_node(self, node: NodeId) -> Visitor | None:
        return self._by_node.get(node)


def leave(
    visitor: Visitor, online: Online, *, newcomers: Newcomers, catalogue: Catalogue, accounts: Accounts
) -> bool:
    """They are offline from now on. False if they have come back, and so are not."""
    if not online.leave(visitor):
        return False
    newcomers.leave(visitor.account)
    catalogue.set_online(visitor.account, False)
    accounts.note_seen(visitor.account)
    return True
