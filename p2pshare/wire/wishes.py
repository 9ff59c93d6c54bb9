"""Messages about wishes: searches that an index server keeps, and what it finds for them."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.wire.fields import Hit, RequestId
from p2pshare.wire.schema import Message, Range, Size, Struct, spec

WishNumber = Annotated[int, Range(1, 2**32 - 1)]
HitNumber = Annotated[int, Range(1, 2**63 - 1)]


class Wish(Struct):
    """A search that is kept."""

    wish: WishNumber = spec("The wisher's number for it, at random; never used again.")
    query: Annotated[str, Size(1, limits.QUERY_BYTES_MAX)] = spec("As in `search`, filters included.")


class KeptWish(Struct):
    """How a wish stands with the server."""

    wish: WishNumber = spec("Its number.")
    found: Annotated[int, Range(0, limits.WISH_FOUND_MAX)] = spec("How many files were found for it.")


class WishHit(Struct):
    """A file that a wish is about."""

    number: HitNumber = spec("The server's number for this hit; greater than those of earlier ones.")
    wish: WishNumber = spec("Which wish.")
    hit: Hit = spec("The file, as `search_hits` would show it.")


class ChangeWishes(Message, kind=72, name="change_wishes", frame_max=8 * limits.KIB):
    """Drop wishes, make one, and hear which ones the server keeps."""

    request: RequestId = spec("Chosen by the client.")
    dropped: Annotated[tuple[WishNumber, ...], Size(0, limits.WISHES_MAX)] = spec(
        "Wishes to forget, first of all.", default=()
    )
    added: Wish | None = spec("A wish to keep; nil for none.", default=None)


class WishHits(Message, kind=73, name="wish_hits", frame_max=limits.FRAME_BYTES_MAX):
    """What was found for wishes. Told again after a new login until it is taken."""

    hits: Annotated[tuple[WishHit, ...], Size(1, limits.WISH_HITS_MAX)] = spec("The hits, oldest first.")


class WishesKept(Message, kind=74, name="wishes_kept", frame_max=8 * limits.KIB, answers=(ChangeWishes,)):
    """The change is stored."""

    request: RequestId = spec("The request it answers.")
    kept: Annotated[tuple[KeptWish, ...], Size(0, limits.WISHES_MAX)] = spec("All wishes of the account.")


class TakeWishHits(Message, kind=76, name="take_wish_hits"):
    """These hits are stored here; tell no more of them, but of the next."""

    request: RequestId = spec("Chosen by the client.")
    numbers: Annotated[tuple[HitNumber, ...], Size(1, limits.WISH_HITS_MAX)] = spec("The numbers of hits.")


class WishHitsTaken(Message, kind=78, name="wish_hits_taken", answers=(TakeWishHits,)):
    """They will not be told again."""

    request: RequestId = spec("The request it answers.")
