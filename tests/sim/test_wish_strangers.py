"""What strangers may try with wishes against a real index server and a real engine."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from p2pshare.errors import Reason, Refused
from p2pshare.limits import WISH_HITS_MAX
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Offer
from p2pshare.wire.wishes import ChangeWishes, TakeWishHits, Wish, WishesKept, WishHits
from tests.sim.stranger import Stranger, stranger
from tests.sim.world import SimWorld, run_scenario
from tests.world import World

Act = Callable[[SimWorld, Stranger, Stranger], Awaitable[None]]


async def silent(channel: Channel, incoming: Incoming) -> None:
    """Nothing is said to visitors."""


def play(act: Act) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        async with stranger(world, "mallory", silent) as mallory, stranger(world, "bob", silent) as bob:
            await act(world, mallory, bob)

    run_scenario(scenario, 1)


async def change(who: Stranger, *dropped: int, added: tuple[int, str] | None = None) -> WishesKept:
    wish = Wish(wish=added[0], query=added[1]) if added is not None else None
    question = ChangeWishes(request=who.index.next_request(), dropped=dropped, added=wish)
    answer: WishesKept = await who.index.ask(question)
    return answer


async def take(who: Stranger, *numbers: int) -> None:
    await who.index.ask(TakeWishHits(request=who.index.next_request(), numbers=numbers))


async def hits(who: Stranger, within_s: float = 10.0) -> WishHits | None:
    """The next notice of hits, if one comes."""
    with trio.move_on_after(within_s):
        async for incoming in who.index.incoming():
            if isinstance(incoming.message, WishHits):
                return incoming.message
    return None


def files(count: int) -> list[Offer]:
    return [
        Offer(offer=number, path=f"films/Metropolis {number}.avi", size=number) for number in range(count)
    ]


@pytest.mark.parametrize(
    "query",
    ["-metropolis", "kind:audio", "from:bob", "metropolis free:", "a sources:>=2", "b OR c*  OR kind:audio"],
)
def test_what_no_offer_can_be_held_against_is_refused_in_words(query: str) -> None:
    async def act(world: SimWorld, mallory: Stranger, bob: Stranger) -> None:
        with pytest.raises(Refused) as caught:
            await change(mallory, added=(1, query))
        assert caught.value.reason is Reason.BAD_QUERY
        assert caught.value.text.endswith(".")
        assert (await change(mallory)).kept == ()

    play(act)


def test_nobody_keeps_more_wishes_than_the_server_lets_them() -> None:
    async def act(world: SimWorld, mallory: Stranger, bob: Stranger) -> None:
        for number in range(1, 51):
            await change(mallory, added=(number, f"metropolis {number}"))
        with pytest.raises(Refused) as caught:
            await change(mallory, added=(51, "nosferatu"))
        assert caught.value.reason is Reason.TOO_MUCH
        assert len((await change(mallory, *range(1, 40), 999)).kept) == 11

    play(act)


def test_who_does_not_take_is_told_no_more_and_who_takes_hears_of_all_once() -> None:
    async def act(world: SimWorld, mallory: Stranger, bob: Stranger) -> None:
        await change(mallory, added=(7, "metropolis"))
        await bob.offer(*files(2 * WISH_HITS_MAX + 5))
        told: list[Any] = []
        for expected in (WISH_HITS_MAX, WISH_HITS_MAX, 5):
            notice = await hits(mallory)
            assert notice is not None and len(notice.hits) == expected
            assert await hits(mallory) is None  # until these are taken
            told += notice.hits
            await take(mallory, *(hit.number for hit in notice.hits))
        assert await hits(mallory) is None
        assert len({hit.hit.path for hit in told}) == len(told) == 2 * WISH_HITS_MAX + 5
        assert all(one.number < other.number for one, other in itertools.pairwise(told))
        assert (await change(mallory)).kept[0].found == len(told)

    play(act)


def test_nobody_is_told_of_the_wishes_of_others_nor_takes_what_they_are_told() -> None:
    async def act(world: SimWorld, mallory: Stranger, bob: Stranger) -> None:
        await change(bob, added=(7, "metropolis"))
        await mallory.offer(*files(1))
        notice = await hits(bob)
        assert notice is not None and notice.hits[0].hit.some[0].nick == "mallory"
        assert await hits(mallory) is None
        await take(mallory, notice.hits[0].number, 12_345)
        assert (await change(mallory)).kept == ()
        await change(mallory, 7)
        assert [kept.wish for kept in (await change(bob)).kept] == [7]

    play(act)


def test_nobody_wishes_for_what_they_offer_themselves() -> None:
    async def act(world: SimWorld, mallory: Stranger, bob: Stranger) -> None:
        await bob.offer(*files(3))
        await change(bob, added=(7, "metropolis"))
        assert await hits(bob) is None
        assert (await change(bob)).kept[0].found == 0

    play(act)
