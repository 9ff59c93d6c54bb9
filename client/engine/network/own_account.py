"""One's own account on an index server: everything that is kept there about it, and its end."""

from __future__ import annotations

from client.engine.network.membership import Membership
from client.engine.status import RecordView
from p2pshare.errors import LocalTrouble
from p2pshare.wire.account import AskRecord, EraseAccount, Record


async def record_page(membership: Membership, server: str, cursor: str) -> RecordView:
    """One page of what the server keeps. Raises `Refused`, `Disconnected` or `LocalTrouble`."""
    link = membership.link_of(server)
    try:
        place = bytes.fromhex(cursor)
    except ValueError:
        raise LocalTrouble("That is no cursor. Begin with the first page.") from None
    page: Record = await link.ask(lambda request: AskRecord(request=request, cursor=place))
    return RecordView(link.view().name, page.lines, page.cursor.hex())


async def erase(membership: Membership, server: str) -> frozenset[str]:
    """Have the account forgotten, and leave the server; returns its invite. Raises as `record_page`."""
    link = membership.link_of(server)
    await link.ask(lambda request: EraseAccount(request=request))
    return membership.leave(link.view().server)  # at once, before it connects and registers again
