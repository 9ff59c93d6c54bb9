"""The handlers of what people ask about wishes; their rows stand in commands.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pshare.wire.wishes import ChangeWishes, KeptWish, TakeWishHits, WishesKept, WishHitsTaken

if TYPE_CHECKING:
    from index_server.commands import Desk
    from index_server.online import Visitor


async def change_wishes(desk: Desk, visitor: Visitor, message: ChangeWishes) -> WishesKept:
    kept = await desk.wishes.change(visitor.account, message.dropped, message.added)
    return WishesKept(
        request=message.request, kept=tuple(KeptWish(wish=each.wish, found=each.found) for each in kept)
    )


async def take_wish_hits(desk: Desk, visitor: Visitor, message: TakeWishHits) -> WishHitsTaken:
    await desk.wishes.take(visitor, message.numbers)
    return WishHitsTaken(request=message.request)
