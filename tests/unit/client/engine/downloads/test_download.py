"""A download of a small file from sources in this process: what arrives, and what a disk makes of it."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.disk_pace import SLOW_PAUSE_S, SLOW_S
from client.engine.distrust import Distrust
from client.engine.downloads import checkpoints
from client.engine.downloads.arriving import Piece
from client.engine.downloads.download import Download
from client.engine.downloads.part import Part
from client.engine.downloads.records import KnownSource, Record, insert
from client.engine.downloads.store import PieceStore
from client.engine.downloads.supplier import Supplier
from client.engine.downloads.surroundings import Surroundings
from client.engine.network.peers import PeerLink
from client.engine.offload import Threads
from client.engine.status import DownloadState
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, Reason
from p2pshare.hashing import piece_span, whole_file_hashes
from p2pshare.identity import NodeId
from p2pshare.limits import FETCHES_OPEN_MAX
from p2pshare.limits import PIECE_BYTES_MIN as PIECE
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import AskHashes, AskOthers, Data, Fetch, FileOpened, Hashes, OpenFile
from tests.channel_pair import channel_pair, endpoint
from tests.shared_tree import open_library

ME, SERVER = endpoint(0), NodeId(b"s" * 32)
pytestmark = pytest.mark.timeout(20)


def content(name: str, pieces: int = 12) -> bytes:
    return random.Random(name).randbytes((pieces - 1) * PIECE + 1_000)


class Giver:
    """Holds files and a slot for everybody. Pieces come in parts of odd sizes."""

    def __init__(self, *files: bytes) -> None:
        self.files = {whole_file_hashes(data).file_id: data for data in files}
        self.spoil: Callable[[int, bytes], bytes] = lambda piece, data: data
        self.asked: list[range] = []
        self.more_to_come = trio.Semaphore(1_000_000)
        """One for each piece that may still be given."""
        self._chance = random.Random(1)

    async def attend(self, channel: Channel) -> None:
        async with trio.open_nursery() as nursery:
            async for incoming in channel.incoming():
                nursery.start_soon(self._answer, channel, incoming.message)
            nursery.cancel_scope.cancel()

    async def _answer(self, channel: Channel, message: object) -> None:
        try:
            if isinstance(message, OpenFile):
                await channel.send(self._opened(message))
            elif isinstance(message, AskHashes):
                hashes = whole_file_hashes(self.files[message.file]).hashes
                await channel.send(Hashes(request=message.request, hashes=hashes[: message.count * 32]))
            elif isinstance(message, AskOthers):
                await channel.refuse(message.request, Reason.NO_SUCH_FILE)
            elif isinstance(message, Fetch):
                self.asked.append(range(message.first, message.first + message.count))
                await self._give(channel, message)
        except Disconnected:
            pass

    def _opened(self, message: OpenFile) -> FileOpened:
        assert message.file is not None
        hashes = whole_file_hashes(self.files[message.file])
        return FileOpened(
            request=message.request,
            file=message.file,
            size=hashes.size,
            piece_size=hashes.piece_size,
            pieces=None,
            position=0,
            wait_s=0,
        )

    async def _give(self, channel: Channel, fetch: Fetch) -> None:
        for piece in self.asked[-1]:
            await self.more_to_come.acquire()
            data = self.files[fetch.file]
            offset, length = piece_span(piece, len(data), PIECE)
            data = self.spoil(piece, data[offset : offset + length])
            at, length = 0, len(data)
            while at < length:
                part = data[at : at + self._chance.choice((1, 1_000, 30_000, PIECE))]
                more = piece < fetch.first + fetch.count - 1 or at + len(part) < length
                await channel.send(
                    Data(request=fetch.request, piece=piece, offset=at, size=len(part), more=more), part
                )
                at += len(part)


class World:
    """What a download needs around it."""

    def __init__(self, folder: Path, around: Surroundings) -> None:
        self.folder = folder
        self.around = around
        self.links: dict[NodeId, PeerLink] = {}
        self.took: Counter[NodeId] = Counter()
        self.throttled: list[int] = []
        self.unthrottled: Callable[[], bool] = lambda: True

    @asynccontextmanager
    async def giver(self, number: int, giver: Giver) -> AsyncIterator[Channel]:
        """Somebody we are connected to; our end of the connection."""
        async with (
            channel_pair(ME, endpoint(number)) as (ours, theirs),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(giver.attend, theirs)
            self.links.setdefault(ours.peer, PeerLink(ours, f"giver {number}", "direct"))
            yield ours
            await ours.aclose()
            nursery.cancel_scope.cancel()

    async def download(self, data: bytes, givers: Iterable[int], name: str = "song") -> Download:
        hashes = whole_file_hashes(data)
        sources = [KnownSource(SERVER, endpoint(number).node, f"giver {number}", 0) for number in givers]
        record = Record(
            file=hashes.file_id,
            size=len(data),
            name=name,
            target_folder=str(self.folder),
            target_path=name,
            sources=tuple(sources),
            added_at=0.0,
        )
        number = await self.around.database.write(insert, record)
        return Download(record.changed(id=number), self.around, lambda download, piece: None)

    @asynccontextmanager
    async def link(self, node: NodeId, servers: Iterable[NodeId]) -> AsyncIterator[PeerLink]:
        await trio.lowlevel.checkpoint()
        link = self.links[node]
        if link.channel.ending is not None:
            raise Disconnected("They are offline.")
        yield link


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async def none(*_: object) -> list[object]:
        return []

    async def adopt(*_: object) -> None:
        return None

    async def throttle(person: NodeId, size: int, waiting: Callable[[], None] = lambda: None) -> None:
        here.throttled.append(size)
        for _ in range(3):  # in which more arrives
            await trio.lowlevel.checkpoint()

    async with open_library() as database:
        around = Surroundings(
            database=database,
            offload=Threads(),
            peers=SimpleNamespace(  # type: ignore[arg-type]
                me=ME.node,
                link=lambda node, servers: here.link(node, servers),
                remember_nick=lambda node, nick: None,
            ),
            find_sources=none,  # type: ignore[arg-type]
            adopt=adopt,
            adopt_all=none,  # type: ignore[arg-type]
            throttle=throttle,
            unthrottled=lambda: here.unthrottled(),
            took=lambda node, nick, size: here.took.update({node: size}),
            distrust=Distrust(database, lambda: 1_000.0),
            unix_now=lambda: 1_000.0,
            chance=random.Random(1),
        )
        here = World(folder, around)
        yield here


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How pieces were written, in order."""
    ways: list[str] = []
    keep_now, keep = PieceStore.keep_now, PieceStore.keep

    def kept_now(store: PieceStore, piece: Piece) -> None:
        ways.append("at once")
        keep_now(store, piece)

    async def kept(store: PieceStore, piece: Piece) -> None:
        ways.append("in a thread")
        await keep(store, piece)

    monkeypatch.setattr(PieceStore, "keep_now", kept_now)
    monkeypatch.setattr(PieceStore, "keep", kept)
    return ways


def complete(download: Download, data: bytes) -> bool:
    place = Path(download.record.target_folder) / download.record.target_path
    return place.read_bytes() == data and download.wasted_bytes == 0


# --- at once, or in threads ------------------------------------------------------------------------------


async def test_on_a_quick_disk_everything_is_written_as_it_arrives(tmp_path: Path, ways: list[str]) -> None:
    song = content("song")
    async with world(tmp_path) as here, here.giver(1, Giver(song)):
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
        assert ways == ["at once"] * 12
        assert here.took == {endpoint(1).node: len(song)}


async def test_on_a_slow_disk_threads_write_the_same_file(
    tmp_path: Path, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: False)
    song = content("song")
    async with world(tmp_path) as here, here.giver(1, Giver(song)):
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
        assert ways == ["in a thread"] * 12
        assert here.took == {endpoint(1).node: len(song)}


@pytest.mark.parametrize("seed", range(8))
async def test_a_disk_that_is_now_quick_and_now_slow_gets_the_same_file_too(
    tmp_path: Path, ways: list[str], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Nothing overtakes what is still waiting: that would look as if the source had sent it out of order."""
    chance = random.Random(seed)
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: chance.random() < 0.6)
    song = content("song", pieces=60)
    async with world(tmp_path) as here, here.giver(1, Giver(song)) as channel:
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
        assert len(ways) == 60
        assert channel.ending is None


async def test_a_disk_that_becomes_slow_is_left_to_threads_until_it_is_tried_again(
    tmp_path: Path, ways: list[str], mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = [0.0, 0.0, 2 * SLOW_S]  # the first pieces; then it is quick again
    write_once = Part._write_once

    def write(part: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        mock_clock.jump(takes_s.pop(0) if takes_s else 0.0)
        return write_once(part, fd, offset, views)

    monkeypatch.setattr(Part, "_write_once", write)
    song, giver = content("song", pieces=8), Giver(content("song", pieces=8))
    giver.more_to_come = trio.Semaphore(0)
    async with world(tmp_path) as here, here.giver(1, giver), trio.open_nursery() as nursery:
        download = await here.download(song, [1])
        nursery.start_soon(download.run)

        async def pieces_come(number: int) -> list[str]:
            ways.clear()
            for _ in range(number):
                giver.more_to_come.release()
            left = (download.plan.missing if download.plan else 8) - number
            while download.plan is None or download.plan.missing > left:
                await trio.lowlevel.checkpoint()
            return ways

        assert await pieces_come(3) == ["at once"] * 3
        assert await pieces_come(2) == ["in a thread"] * 2
        mock_clock.jump(SLOW_PAUSE_S)
        await wait_all_tasks_blocked()
        assert await pieces_come(2) == ["at once"] * 2
        giver.more_to_come.release()
    assert complete(download, song)


async def test_under_a_limit_everything_that_arrives_is_counted_against_it(
    tmp_path: Path, ways: list[str]
) -> None:
    song = content("song")
    async with world(tmp_path) as here, here.giver(1, Giver(song)):
        here.unthrottled = lambda: False
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
        assert sum(here.throttled) == len(song)
        assert ways == ["in a thread"] * 12


async def test_a_limit_that_comes_and_goes_disturbs_nothing(tmp_path: Path, ways: list[str]) -> None:
    song, chance = content("song", pieces=60), random.Random(1)
    async with world(tmp_path) as here, here.giver(1, Giver(song)):
        here.unthrottled = lambda: chance.random() < 0.5
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
        assert len(ways) == 60


async def test_nobody_runs_ahead_of_what_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 4 * PIECE
    monkeypatch.setattr(checkpoints, "CHECKPOINT_BYTES", most)
    unsaved: list[int] = []
    keep_now, keep = PieceStore.keep_now, PieceStore.keep

    def kept_now(store: PieceStore, piece: Piece) -> None:
        keep_now(store, piece)
        unsaved.append(store.unsaved_bytes)

    async def kept(store: PieceStore, piece: Piece) -> None:
        await keep(store, piece)
        unsaved.append(store.unsaved_bytes)

    monkeypatch.setattr(PieceStore, "keep_now", kept_now)
    monkeypatch.setattr(PieceStore, "keep", kept)
    song = content("song", pieces=60)
    async with world(tmp_path) as here, here.giver(1, Giver(song)):
        download = await here.download(song, [1])
        await download.run()
        assert complete(download, song)
    assert len(unsaved) == 60
    # Each open request may have a piece in hand when the others reach the limit.
    assert max(unsaved) <= most + FETCHES_OPEN_MAX * PIECE


async def test_many_sources_give_parts_of_one_file(tmp_path: Path) -> None:
    song = content("song", pieces=80)
    givers = [Giver(song) for _ in range(3)]
    async with (
        world(tmp_path) as here,
        here.giver(1, givers[0]),
        here.giver(2, givers[1]),
        here.giver(3, givers[2]),
    ):
        download = await here.download(song, [1, 2, 3])
        await download.run()
        place = Path(download.record.target_folder) / download.record.target_path
        assert place.read_bytes() == song
        assert sum(here.took.values()) == len(song)
        assert all(giver.asked for giver in givers)


# --- this machine is in the way --------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
async def test_a_full_disk_ends_the_download_and_nothing_else_on_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    song, film = content("song"), content("film")
    write_once = Part._write_once
    room = [1, 2, 3]  # pieces

    def full(part: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        if part.name.startswith("song"):
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            room.pop()
        return write_once(part, fd, offset, views)

    monkeypatch.setattr(Part, "_write_once", full)
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    async with world(tmp_path) as here, here.giver(1, Giver(song, film)) as channel:
        stuck, other = await here.download(song, [1]), await here.download(film, [1], "film")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            with pytest.raises(LocalTrouble, match="full"):
                await stuck.run()
        assert complete(other, film)
        assert channel.ending is None
        assert stuck.store is None  # closed, and what was written down is true
        done = [piece for pieces in stuck.record.done_pieces() for piece in pieces]
        part = (tmp_path / "song.part").read_bytes()
        assert 0 < len(done) <= 3
        for piece in done:
            assert part[piece * PIECE :][:PIECE] == song[piece * PIECE :][:PIECE]
        monkeypatch.setattr(Part, "_write_once", write_once)  # room was made
        await stuck.run()
        assert (tmp_path / "song").read_bytes() == song


# --- the source is in the way ----------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
async def test_a_piece_that_is_not_what_its_hash_says_ends_the_connection_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    song = content("song")
    liar, honest = Giver(song), Giver(song)
    liar.spoil = lambda piece, data: b"lies" + data[4:]
    async with world(tmp_path) as here, here.giver(1, liar) as to_liar, here.giver(2, honest) as to_honest:
        download = await here.download(song, [1, 2])
        await download.run()
        place = Path(download.record.target_folder) / download.record.target_path
        assert place.read_bytes() == song
        assert here.took == {endpoint(2).node: len(song)}
        assert to_liar.ending is not None and to_liar.ending.code is CloseCode.BAD_DATA
        assert to_honest.ending is None
        assert here.around.distrust.avoids(endpoint(1).node, download.record.file)
        assert not here.around.distrust.avoids(endpoint(2).node, download.record.file)
        assert {view.nick: view.state for view in download.view().sources}["giver 1"] == "lied"


@pytest.mark.parametrize("quick", [True, False])
async def test_data_out_of_order_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    song = content("song")

    class Muddler(Giver):
        async def _give(self, channel: Channel, fetch: Fetch) -> None:
            for offset in (0, 2):
                data = Data(request=fetch.request, piece=fetch.first, offset=offset, size=1, more=True)
                await channel.send(data, song[fetch.first * PIECE + offset :][:1])

    async with world(tmp_path) as here, here.giver(1, Muddler(song)) as channel:
        download = await here.download(song, [1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(download.run)
            await channel.over.wait()
            assert channel.ending is not None and channel.ending.code is CloseCode.WRONG_ORDER
            assert not here.around.distrust.avoids(endpoint(1).node, download.record.file)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("quick", [True, False])
async def test_a_last_answer_before_everything_is_there_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    song = content("song")

    class Miser(Giver):
        async def _give(self, channel: Channel, fetch: Fetch) -> None:
            data = Data(request=fetch.request, piece=fetch.first, offset=0, size=1, more=False)
            await channel.send(data, song[fetch.first * PIECE :][:1])

    async with world(tmp_path) as here, here.giver(1, Miser(song)) as channel:
        download = await here.download(song, [1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(download.run)
            await channel.over.wait()
            assert channel.ending is not None and channel.ending.code is CloseCode.WRONG_ORDER
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def two_connections(
    here: World, song: bytes, further: Giver, *, main_gives: int
) -> AsyncIterator[TwoConnections]:
    """A download that has just begun to use a second connection to its only source.

    Over the first one it gets so many more pieces.
    """
    main = Giver(song)
    main.more_to_come = trio.Semaphore(1)
    async with here.giver(1, main) as one, here.giver(1, further) as two:
        download = await here.download(song, [1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(download.run)
            while not download.done_bytes:
                await trio.lowlevel.checkpoint()
            (supplier,) = download.suppliers.values()
            assert supplier._paths is not None
            supplier._paths.add(PeerLink(two, "giver 1", "direct"))
            for _ in range(main_gives):
                main.more_to_come.release()
            yield TwoConnections(download, supplier, one, two)
            nursery.cancel_scope.cancel()


@dataclass
class TwoConnections:
    download: Download
    supplier: Supplier
    main: Channel
    further: Channel


@pytest.mark.parametrize("quick", [True, False])
async def test_whoever_lies_over_one_of_several_connections_loses_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    song = content("song", pieces=200)
    liar = Giver(song)
    liar.spoil = lambda piece, data: b"lies" + data[4:]
    async with world(tmp_path) as here, two_connections(here, song, liar, main_gives=50) as both:
        await both.further.over.wait()
        await both.main.over.wait()
        while both.supplier.state != "lied":
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("quick", [True, False])
async def test_what_was_asked_over_a_connection_that_ended_is_asked_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(PieceStore, "is_quick", lambda store, size: quick)
    song = content("song", pieces=200)
    muddler = Giver(song)
    muddler.spoil = lambda piece, data: data + b"more"
    async with world(tmp_path) as here, two_connections(here, song, muddler, main_gives=200) as both:
        await both.further.over.wait()
        while both.download.record.state is not DownloadState.COMPLETE:
            await trio.lowlevel.checkpoint()
        assert complete(both.download, song)
        assert both.main.ending is None
