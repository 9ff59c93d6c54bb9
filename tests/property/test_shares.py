"""Shares, their listings and what servers are told, against plain dictionaries and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import trio
from hypothesis import given, settings

from client.engine.beneath import Stamp
from client.engine.shares import inventory
from client.engine.shares.inventory import Change, Share
from client.engine.shares.listing import list_folder, position_untrusted
from client.engine.shares.offers import offers_among
from client.engine.shares.publish import Publisher
from p2pshare.database import Database
from p2pshare.errors import BadMessage
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Tags
from tests.fake_index import FakeIndex
from tests.shared_tree import open_library

SERVER = NodeId(b"s" * 32)

folders = st.sampled_from(("", "a", "a/b", "a/b/c", "a b", "a0", "B"))
names = st.sampled_from(("x", "X", "y.mp3", "z"))
stamps = st.none() | st.builds(Stamp, st.integers(0, 9), st.integers(0, 2), st.just("1"))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), folders, names, stamps),
        st.tuples(st.just("drop"), folders.filter(bool)),
        st.tuples(st.just("hash"), st.integers(0, 9)),
        st.tuples(st.just("tag"), st.integers(0, 9), st.text(max_size=3)),
        st.tuples(st.just("away"), st.booleans()),
        st.tuples(st.just("restart")),
        st.tuples(st.just("server forgets")),
        st.tuples(
            st.just("tell"), st.integers(1, 3), st.sampled_from(("", "lose the message", "lose the answer"))
        ),
    ),
    max_size=25,
)


@dataclass
class World:
    """A library, the server that is told of it, and what both should hold."""

    library: Database
    share: Share
    index: FakeIndex = field(default_factory=FakeIndex)
    files: dict[tuple[str, str], Stamp] = field(default_factory=dict)
    hashed: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.publisher = Publisher(self.library)

    async def step(self, kind: str, *args: Any) -> None:
        await getattr(self, "do_" + kind.replace(" ", "_"))(*args)

    async def do_change(self, folder: str, name: str, stamp: Stamp | None) -> None:
        if stamp is not None and self.files.get((folder, name)) == stamp:
            return  # `compare` tells of no such change
        self.hashed.discard((folder, name))
        self.files.pop((folder, name), None)
        if stamp is not None:
            self.files[folder, name] = stamp
        change = Change(folder, name, stamp)
        self.publisher.touch(await self.library.write(inventory.apply, self.share, [change]))

    async def do_drop(self, folder: str) -> None:
        gone = {place for place in self.files if f"{place[0]}/".startswith(f"{folder}/")}
        self.files = {place: stamp for place, stamp in self.files.items() if place not in gone}
        self.hashed -= gone
        self.publisher.touch(await self.library.write(inventory.drop_folder, self.share.id, folder))

    async def do_hash(self, which: int) -> None:
        if (found := await self._pick(which)) is not None:
            number, place = found
            hashed = [(number, self.files[place], FileId(bytes([which]) * 32))]
            self.hashed.add(place)
            self.publisher.touch(await self.library.write(inventory.set_file_ids, hashed))

    async def do_tag(self, which: int, title: str) -> None:
        if (found := await self._pick(which)) is not None:
            number, place = found
            assert await self.library.write(inventory.set_tags, number, self.files[place], Tags(title=title))
            self.publisher.touch([number])

    async def do_away(self, away: bool) -> None:
        self.publisher.touch(await self.library.write(inventory.set_away, self.share.id, away))

    async def do_restart(self) -> None:
        self.publisher = Publisher(self.library)

    async def do_server_forgets(self) -> None:
        self.index = FakeIndex()

    async def do_tell(self, batches: int, mishap: str) -> None:
        for _ in range(batches):
            batch = await self.publisher.next_batch(SERVER, self.index.digest)
            if batch is None:
                return
            if mishap != "lose the message":
                self.index.publish(batch)
            if not mishap:
                await self.publisher.acknowledge(SERVER, batch)

    async def check(self) -> None:
        """Totals add up, and a server that is told everything holds the manifest."""
        totals: dict[str, list[int]] = {"": [0, 0, 0]}
        for (folder, name), stamp in self.files.items():
            above = [""] + [
                "/".join(folder.split("/")[:n]) for n in range(1, folder.count("/") + 2) if folder
            ]
            for each in above:
                sums = totals.setdefault(each, [0, 0, 0])
                sums[0] += 1
                sums[1] += stamp.size
                sums[2] += (folder, name) in self.hashed
        rows = await self.library.read(
            lambda db: db.execute(
                "SELECT path, files, bytes, hashed FROM folder WHERE files OR path = ''"
            ).fetchall()
        )
        assert {path: list(sums) for path, *sums in rows} == totals
        await self.do_tell(1_000, "")
        numbers = await self.library.read(lambda db: [n for (n,) in db.execute("SELECT id FROM file")])
        manifest = {offer.offer: offer for offer in await self.library.read(offers_among, numbers)}
        assert self.index.offers == manifest
        assert len(numbers) == len(self.files)

    async def _pick(self, which: int) -> tuple[int, tuple[str, str]] | None:
        rows = await self.library.read(
            lambda db: db.execute(
                "SELECT f.id, d.path, f.name FROM file f JOIN folder d ON d.id = f.folder ORDER BY f.id"
            ).fetchall()
        )
        if not rows:
            return None
        number, folder, name = rows[which % len(rows)]
        return number, (folder, name)


def in_a_library(work: Callable[[Database, Share], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_library() as library:
            await work(library, await library.write(inventory.add_share, "/music", "music", 0.0))

    trio.run(run)


@given(steps)
@settings(max_examples=60)
def test_whatever_happens_totals_add_up_and_servers_end_with_the_manifest(
    taken: list[tuple[Any, ...]],
) -> None:
    async def live(library: Database, share: Share) -> None:
        world = World(library, share)
        for step in taken:
            await world.step(*step)
        await world.check()

    in_a_library(live)


part = st.text(st.sampled_from("aAbBéÉßs ."), min_size=1, max_size=4).filter(
    lambda text: text not in (".", "..")
)


@given(st.sets(part, max_size=12), st.sets(part, max_size=8), st.integers(1, 5), st.integers(500, 2_500))
@settings(max_examples=40)
def test_pages_of_a_listing_are_the_sorted_folder_whatever_their_size(
    files: set[str], inner: set[str], entries: int, size: int
) -> None:
    def in_order(texts: set[str]) -> list[str]:
        return sorted(texts, key=lambda text: (text.casefold(), text))

    async def browse(library: Database, share: Share) -> None:
        stamp = Stamp(1, 0, "1")
        changes = [Change("", name, stamp) for name in files] + [Change(name, "f", stamp) for name in inner]
        await library.write(inventory.apply, share, changes)
        seen_folders: list[str] = []
        seen_files: list[str] = []
        cursor = b""
        for _ in range(len(changes) + 1):
            page = await library.read(list_folder, "music", position_untrusted(cursor), entries, size)
            assert page is not None and len(page.folders) + len(page.offers) <= entries
            assert page.files == len(changes)
            assert not (page.folders and seen_files)
            seen_folders += [folder.name for folder in page.folders]
            seen_files += [offer.path.removeprefix("music/") for offer in page.offers]
            cursor = page.cursor
            if not cursor:
                break
        assert not cursor
        assert (seen_folders, seen_files) == (in_order(inner), in_order(files))

    in_a_library(browse)


@given(st.binary(max_size=70))
def test_a_cursor_of_a_stranger_is_a_position_or_a_bad_message(cursor: bytes) -> None:
    try:
        position = position_untrusted(cursor)
    except BadMessage:
        return

    async def browse(library: Database, share: Share) -> None:
        await library.write(inventory.apply, share, [Change("in", "a", Stamp(1, 0, "1"))])
        for folder in ("", "music", "music/in"):
            assert await library.read(list_folder, folder, position) is not None

    in_a_library(browse)
