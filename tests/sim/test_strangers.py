"""What strangers may try with a real engine, and what they get: little, and then the door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio

from client.engine.status import DownloadState
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, Reason, Refused
from p2pshare.hashing import piece_span
from p2pshare.limits import CLOCK_SKEW_S, MIB, PIECE_BYTES_MIN
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Folder, Offer
from p2pshare.wire.peer import (
    AskHashes,
    Browse,
    Data,
    Fetch,
    FileOpened,
    Hashes,
    Listing,
    OpenFile,
    QueueMoved,
)
from tests.sim.stranger import Giver, offer_of, stranger
from tests.sim.world import SimWorld, run_scenario
from tests.world import Person, World, content

FILM = content("nosferatu", 1 * MIB + 77)
PATH = "films/Nosferatu.dat"

Act = Callable[[SimWorld], Awaitable[None]]


def play(act: Act, seed: int = 1) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        await act(world)

    run_scenario(scenario, seed)


async def both_give(world: SimWorld, mallory: Giver) -> tuple[Person, int]:
    """Alice fetches from mallory, and then from bob as well, who is slow; returns her and the download."""
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("nosferatu", of={"mallory"}))
    await world.pass_time(2)
    assert mallory.heard > 0
    await world.person("bob", {PATH: FILM}, upload_rate=16)  # 64 s
    again = await alice.begins(await alice.finds("nosferatu", of={"bob"}))
    assert again.id == begun.id
    return alice, begun.id


# --- sources that lie ------------------------------------------------------------------------------------


class WrongHashes(Giver):
    def told(self, message: AskHashes) -> Hashes:
        return replace(super().told(message), hashes=bytes(32 * message.count))


class FewerHashes(Giver):
    def told(self, message: AskHashes) -> Hashes:
        return replace(super().told(message), hashes=super().told(message).hashes[:32])


class AnotherFile(Giver):
    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), file=bytes(32))


class AnotherSize(Giver):
    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), size=self.hashes.size + 1)


class AnotherPieceSize(Giver):
    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), piece_size=2 * self.hashes.piece_size)


class BadBitmap(Giver):
    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), pieces=b"\xff" * 9)


class WrongBytes(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        self.data = bytes(len(self.data))
        await super().give(channel, message)


class OtherPieces(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        other = (message.first + 1) % self.pieces
        await super().give(channel, replace(message, first=other, count=1))


class TooMuch(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        size = self.hashes.piece_size + 1
        data = Data(request=message.request, piece=message.first, offset=0, size=size, more=True)
        await channel.send(data, bytes(size))


class TooLittle(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        data = Data(request=message.request, piece=message.first, offset=0, size=1, more=False)
        await channel.send(data, self.data[message.first * self.hashes.piece_size :][:1])


class Gaps(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        data = Data(request=message.request, piece=message.first, offset=100, size=1, more=True)
        await channel.send(data, b"x")


class AnswersNobody(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        await channel.send(QueueMoved(position=0, wait_s=0))
        await channel.refuse(message.request + 1_000, Reason.BUSY)


LIARS: dict[type[Giver], CloseCode | None] = {
    WrongHashes: CloseCode.BAD_DATA,
    FewerHashes: CloseCode.BAD_DATA,
    AnotherFile: CloseCode.BAD_DATA,
    AnotherSize: None,  # the file may have changed: they are left alone
    AnotherPieceSize: CloseCode.BAD_DATA,
    BadBitmap: CloseCode.BAD_MESSAGE,
    WrongBytes: CloseCode.BAD_DATA,
    OtherPieces: CloseCode.WRONG_ORDER,
    TooMuch: CloseCode.WRONG_ORDER,
    TooLittle: CloseCode.WRONG_ORDER,
    Gaps: CloseCode.WRONG_ORDER,
    AnswersNobody: CloseCode.WRONG_ORDER,
}


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.__name__)
def test_a_source_that_breaks_the_rules_costs_one_piece_and_is_shown_out(liar: type[Giver]) -> None:
    async def act(world: SimWorld) -> None:
        giver = liar(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            await mallory.offer(offer_of(giver, PATH))
            alice, number = await both_give(world, giver)
            view = await alice.finished(number)
            assert view.wasted_bytes <= PIECE_BYTES_MIN
            if (code := LIARS[liar]) is not None:
                # Somebody who is just sending learns of the reset before they read the reason.
                assert mallory.ended[0].code is code or liar is WrongBytes

    play(act)


# --- sources that waste time -----------------------------------------------------------------------------


class NeverOpens(Giver):
    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        self.heard += 1


class NeverGives(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        pass


class NeverStops(Giver):
    """A byte a minute."""

    async def give(self, channel: Channel, message: Fetch) -> None:
        start = message.first * self.hashes.piece_size
        for offset in range(1_000):
            data = Data(request=message.request, piece=message.first, offset=offset, size=1, more=True)
            await channel.send(data, self.data[start + offset : start + offset + 1])
            await trio.sleep(60)


class GoesHalfWay(Giver):
    async def give(self, channel: Channel, message: Fetch) -> None:
        start, length = piece_span(message.first, self.hashes.size, self.hashes.piece_size)
        size = length // 2
        data = Data(request=message.request, piece=message.first, offset=0, size=size, more=True)
        await channel.send(data, self.data[start : start + size])


@pytest.mark.parametrize(
    "idler", [NeverOpens, NeverGives, NeverStops, GoesHalfWay], ids=lambda idler: idler.__name__
)
def test_a_source_that_wastes_time_does_not_hold_a_download_up(idler: type[Giver]) -> None:
    async def act(world: SimWorld) -> None:
        giver = idler(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            await mallory.offer(offer_of(giver, PATH))
            began = trio.current_time()
            alice, number = await both_give(world, giver)
            await alice.finished(number)
            assert trio.current_time() - began < 150  # bob alone needs 64 s, silence is noticed after 45 s

    play(act)


# --- names and listings ----------------------------------------------------------------------------------


HOSTILE_PATHS = [
    "../evil.dat",
    "/etc/evil.dat",
    "a/../../evil.dat",
    "a\\..\\evil.dat",
    "C:/evil.dat",
    "a\x00b",
    "a\u202eb.dat",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_the_server_lists_no_path_that_leads_astray(path: str) -> None:
    async def act(world: SimWorld) -> None:
        giver = Giver(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            with pytest.raises(Refused, match="cannot be listed"):
                await mallory.offer(offer_of(giver, path))

    play(act)


class HostileShelf(Giver):
    """Lists a file under a path that leads out of the folder asked for."""

    def __init__(self, data: bytes, path: str) -> None:
        super().__init__(data)
        self.path = path

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        message = incoming.message
        if isinstance(message, Browse):
            offers = (offer_of(self, self.path),) if message.folder == self.path.rpartition("/")[0] else ()
            folders = (
                (Folder(name=self.path.partition("/")[0], files=1, bytes=1),) if not message.folder else ()
            )
            folders = folders if folders and folders[0].name else ()
            listing = Listing(request=message.request, folders=folders, offers=offers, files=1, bytes=1)
            await channel.send(listing)
        else:
            await super().__call__(channel, incoming)


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_no_listing_makes_anybody_write_outside_the_download_folder(path: str) -> None:
    async def act(world: SimWorld) -> None:
        giver = HostileShelf(FILM, path)
        async with stranger(world, "mallory", giver):
            alice = await world.person("alice")
            before = {file for file in world.home.rglob("*") if "downloads" not in file.parts}
            for what in ("mallory/", f"mallory/{path}"):
                try:
                    for view in await alice.face.get(what):
                        await world.pass_time(30)
                        assert not view.target.startswith(str(alice.home.parent / "evil"))
                except (Refused, Disconnected, LocalTrouble):
                    continue
            after = {file for file in world.home.rglob("*") if "downloads" not in file.parts}
            assert {file for file in after - before if "library" not in file.name} == set()

    play(act)


def test_a_listing_without_an_end_is_given_up() -> None:
    class Endless(Giver):
        async def __call__(self, channel: Channel, incoming: Incoming) -> None:
            message = incoming.message
            assert isinstance(message, Browse)
            cursor = (int.from_bytes(message.cursor, "big") + 1).to_bytes(8, "big")
            offers = tuple(Offer(offer=n, path=f"{n}.dat", size=1) for n in range(500))
            await channel.send(
                Listing(request=message.request, folders=(), offers=offers, files=1, bytes=1, cursor=cursor)
            )

    async def act(world: SimWorld) -> None:
        async with stranger(world, "mallory", Endless(FILM)):
            alice = await world.person("alice")
            with pytest.raises(Disconnected, match="no end"):
                await alice.face.browse("mallory")

    play(act)


# --- coming in -------------------------------------------------------------------------------------------


def test_nobody_comes_in_without_a_ticket_or_with_one_that_was_used() -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False)
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            ticket = (await mallory.ticket_to("bob")).ticket
            async with mallory.visit("bob", ticket) as channel:
                await channel.ask(OpenFile(request=channel.next_request(), file=None, offer=1))
            for bad in (b"", ticket, bytes(184), ticket[:-1] + b"x"):
                with pytest.raises(Disconnected) as caught:
                    async with mallory.visit("bob", bad):
                        raise AssertionError("came in")
                assert caught.value.code is CloseCode.NOT_ADMITTED

    play(act)


def test_a_ticket_of_somebody_else_is_worth_nothing() -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False)
        async with (
            stranger(world, "mallory", Giver(FILM)) as mallory,
            stranger(world, "trudy", Giver(FILM)) as trudy,
        ):
            ticket = (await mallory.ticket_to("bob")).ticket
            with pytest.raises(Disconnected) as caught:
                async with trudy.visit("bob", ticket):
                    raise AssertionError("came in")
            assert caught.value.code is CloseCode.NOT_ADMITTED

    play(act)


def test_whoever_asks_for_more_than_there_is_gets_a_clear_no_and_may_go_on() -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM})
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            async with mallory.visit("bob", (await mallory.ticket_to("bob")).ticket) as channel:

                async def refused(message: object) -> Reason:
                    with pytest.raises(Refused) as caught:
                        await channel.ask(message)  # type: ignore[arg-type]
                    return caught.value.reason

                def request() -> int:
                    return channel.next_request()

                file = Giver(FILM).hashes.file_id
                assert await refused(Fetch(request=request(), file=file, first=0)) is Reason.NO_SUCH_FILE
                assert await refused(OpenFile(request=request(), file=bytes(32))) is Reason.NO_SUCH_FILE
                assert await refused(OpenFile(request=request(), file=None, offer=999)) is Reason.NO_SUCH_FILE
                opened = await channel.ask(OpenFile(request=request(), file=file))
                assert isinstance(opened, FileOpened)
                assert await refused(Fetch(request=request(), file=file, first=60_000)) is Reason.NOT_HELD
                assert await refused(AskHashes(request=request(), file=file, first=60_000, count=9)) in (
                    Reason.NOT_HELD,
                    Reason.NO_SUCH_FILE,
                )
                assert await refused(Browse(request=request(), folder="../..")) is Reason.NO_SUCH_FILE

    play(act)


# --- clocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_s", [-CLOCK_SKEW_S + 10, CLOCK_SKEW_S - 10])
def test_clocks_that_differ_by_minutes_do_not_matter(skew_s: float) -> None:
    async def act(world: SimWorld) -> None:
        world.clock_skew_s["bob"] = skew_s
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False)
        alice = await world.person("alice")
        await alice.fetches(await alice.finds("nosferatu"))

    play(act)


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0])
@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_clock_that_is_a_day_wrong_does_not_matter_either(name: str, skew_s: float) -> None:
    """Tickets go by the clock of the server that signs them."""

    async def act(world: SimWorld) -> None:
        world.clock_skew_s[name] = skew_s
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False)
        alice = await world.person("alice")
        await alice.fetches(await alice.finds("nosferatu"))

    play(act)


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0])
@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_clock_that_jumps_stops_nothing(name: str, skew_s: float) -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False, upload_rate=128)  # 8 s
        alice = await world.person("alice", download_rate=512)
        begun = await alice.begins(await alice.finds("nosferatu"))
        await alice.half_way(begun.id, 0.3)
        world.turn_clock(name, skew_s)
        world.cut("alice", "bob")  # they need another ticket
        await alice.sees(begun.id, lambda view: view.state is not DownloadState.RUNNING, "that nobody gives")
        world.mend("alice", "bob")
        before = await alice.view(begun.id)
        view = await alice.finished(begun.id)
        assert view.wasted_bytes == 0 and before.done_bytes > 0
        assert (await alice.face.distrusted()) == ()

    play(act)


def test_the_clock_of_a_server_that_jumps_is_told_in_words_and_overcome() -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, lan_without_ticket=False)
        alice = await world.person("alice")
        found = await alice.finds("nosferatu")
        world.turn_clock("index", -86_400.0)
        begun = await alice.begins(found)
        seen = await alice.sees(begun.id, lambda view: bool(view.problem), "what the matter is")
        assert "ticket" in seen.problem or "clock" in seen.problem
        world.turn_clock("index", 86_400.0)
        await alice.finished(begun.id)

    play(act)
