"""Calls of a front that are cancelled anywhere, as by Ctrl-C, leave the engine as good as new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from client.engine.status import DownloadState
from p2pshare.limits import KIB
from tests.sim.cancelling import cancellations
from tests.sim.world import run_scenario
from tests.world import Person, World, content

FILES = {f"books/{n}/{n}.dat": content(f"book {n}", 10 * KIB) for n in range(3)}

Call = Callable[[Person], Awaitable[object]]


async def search(alice: Person) -> None:
    assert (await alice.face.search("books")).total == len(FILES)


async def browse(alice: Person) -> None:
    assert (await alice.face.browse("bob", "books")).files == len(FILES)


async def status(alice: Person) -> None:
    assert (await alice.face.status()).servers


async def link(alice: Person) -> None:
    assert (await alice.face.link("invite")).startswith("p2pshare:")


async def share_and_forget(alice: Person) -> None:
    await alice.face.add_share(str(alice.home / "mine"))
    await alice.face.remove_share(str(alice.home / "mine"))


async def rename_there_and_back(alice: Person) -> None:
    await alice.face.rename("alicia")
    await alice.face.rename("alice")


@pytest.mark.parametrize("call", [search, browse, status, link, share_and_forget, rename_there_and_back])
def test_a_call_may_be_cancelled_anywhere(call: Call) -> None:
    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", FILES)
        alice = await world.person("alice")
        await alice.finds("books 1")
        (alice.home / "mine").mkdir()
        for cut in cancellations():
            async with cut:
                await call(alice)
            await world.pass_time(60)  # so that no limit of calls per minute stands in the way
            if cut.survived:
                break
        await call(alice)

    run_scenario(told, 1)


def test_ordering_may_be_cancelled_anywhere_and_then_nothing_or_a_whole_download_is_there() -> None:
    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", FILES)
        alice = await world.person("alice")
        await alice.finds("books 1")
        for cut in cancellations():
            async with cut:
                await alice.face.get("bob/books/1/1.dat")
            for view in await alice.face.downloads():
                await alice.finished(view.id)
            await alice.face.clear()
            await world.pass_time(20)
            if cut.survived:
                break
        (view,) = await alice.face.get("bob/books/2/2.dat")
        assert (await alice.finished(view.id)).state is DownloadState.COMPLETE

    run_scenario(told, 1)
