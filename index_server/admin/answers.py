"""What people may ask about their own account. The rows of the handlers stand in index_server/commands.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from index_server.admin.record import page_of
from p2pshare.errors import CloseCode, Disconnected
from p2pshare.wire import account

if TYPE_CHECKING:
    from index_server.commands import Desk
    from index_server.online import Visitor


async def ask_record(desk: Desk, visitor: Visitor, message: account.AskRecord) -> account.Record:
    page = await desk.database.read(page_of, visitor.account, message.cursor)
    return account.Record(request=message.request, lines=page.lines, cursor=page.cursor)


async def erase_account(desk: Desk, visitor: Visitor, message: account.EraseAccount) -> account.AccountErased:
    """The answer is the last that the connection carries, for nobody is behind it any more."""
    await forget(desk, visitor.account, account.AccountErased(request=message.request))
    raise Disconnected("The account is erased.")


async def forget(desk: Desk, number: int, last_words: account.AccountErased | None = None) -> None:
    """Erase an account and everything about it, and end its connection."""
    from index_server.visits import leave  # not above: it stands on the table of commands, and so on this

    await desk.manifests.erase(number)
    desk.wishes.forget(number)
    visitor = desk.online.by_account(number)
    if visitor is None:
        return
    leave(desk, visitor)
    if visitor.channel is not None:
        if last_words is not None:
            visitor.channel.post(last_words)
        visitor.channel.close_soon(CloseCode.BYE, "This account is erased.")
