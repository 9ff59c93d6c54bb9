"""Who is connected now. In memory only: a restart begins with nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.transport.channel import Channel


@dataclass(eq=False, slots=True)
class Visitor:
    """One connection whose account has logged in."""

    account: int
    node: NodeId
    nick: str
    channel: Channel
    observed: Address
    """Where the connection comes from, as the server sees it."""
    port: int | None = None
    """Where the client takes connections, as it says."""
    reachable: bool = False
    """Whether its own key answered there."""

    @property
    def open_address(self) -> Address | None:
        """Where others can connect to this client; None if they cannot."""
        return Address(self.observed.host, self.port) if self.reachable and self.port is not None else None


class Online:
    """Every visitor, found by account or key; of one account the latest only."""

    def __init__(self) -> None:
        self._by_account: dict[int, Visitor] = {}
        self._by_node: dict[NodeId, Visitor] = {}

    def __len__(self) -> int:
        return len(self._by_account)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(list(self._by_account.values()))

    def arrive(self, visitor: Visitor) -> Visitor | None:
        """From now on this is the connection of its account. Returns the one it replaces."""
        older = self._by_account.get(visitor.account)
        self._by_account[visitor.account] = visitor
        self._by_node[visitor.node] = visitor
        return older

    def leave(self, visitor: Visitor) -> bool:
        """The connection is over. False if it was replaced before, so that the account is still online."""
        if self._by_account.get(visitor.account) is not visitor:
            return False
        del self._by_account[visitor.account]
        del self._by_node[visitor.node]
        return True

    def by_account(self, account: int) -> Visitor | None:
        return self._by_account.get(account)

    def by_node(self, node: NodeId) -> Visitor | None:
        return self._by_node.get(node)
