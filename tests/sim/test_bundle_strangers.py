"""What a stranger may answer when many small files are asked for at once, and what may be asked of us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
import trio

from client.engine.downloads.carrier import SILENT_S
from client.engine.network.peers import IDLE_S
from client.engine.status import DownloadState
from p2pshare.errors import CloseCode, Disconnected, Reason, Refused
from p2pshare.limits import DATA_BYTES_MAX, FETCH_FILES_MAX, FETCHES_OPEN_MAX, SMALL_FILE_BYTES_MAX
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Folder, Offer
from p2pshare.wire.peer import Browse, FetchFiles, FileOpened, Files, Listing, OpenFile
from tests.sim.stranger import hashed, stranger
from tests.sim.world import SimWorld, run_scenario
from tests.world import World, content

NOTES = {f"notes/{number:02}.dat": content(f"note {number}", 1_000 + number) for number in range(40)}
Act = Callable[[SimWorld], Awaitable[None]]


def play(act: Act) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        await act(world)

    run_scenario(scenario, 1)


class Bearer:
    """Gives small files as an uploader should; those who do not inherit from it and change one thing."""

    def __init__(self) -> None:
        self.heard: list[FetchFiles] = []
        self.contents = list(NOTES.values())
        self.ids = [hashed(data).file_id for data in self.contents]
        self.offers = tuple(
            Offer(offer=number, path=path, size=len(data), file=self.ids[number])
            for number, (path, data) in enumerate(NOTES.items())
        )

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        message = incoming.message
        if isinstance(message, Browse):
            top = (Folder(name="notes", files=len(NOTES), bytes=1),)
            await channel.send(
                Listing(
                    request=message.request,
                    folders=() if message.folder else top,
                    offers=self.offers if message.folder == "notes" else (),
                    files=len(NOTES),
                    bytes=1,
                )
            )
        elif isinstance(message, OpenFile):
            number = message.offer if message.file is None else self.ids.index(message.file)
            known = hashed(self.contents[number])
            await channel.send(
                FileOpened(
                    request=message.request,
                    file=known.file_id,
                    size=known.size,
                    piece_size=known.piece_size,
                    pieces=None,
                    position=0,
                    wait_s=0,
                )
            )
        elif isinstance(message, FetchFiles):
            self.heard.append(message)
            wanted = [self.contents[self.ids.index(file)] for file in message.files]
            await self.give(channel, message, wanted)

    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, wanted)

    async def say(
        self, channel: Channel, message: FetchFiles, first: int, some: Sequence[bytes], *, more: bool = False
    ) -> None:
        data = b"".join(some)
        outcomes = tuple(map(len, some))
        answer = Files(request=message.request, first=first, outcomes=outcomes, size=len(data), more=more)
        await channel.send(answer, data)


class WrongBytes(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, [*wanted[:3], bytes(len(wanted[3])), *wanted[4:]])


class AnotherSize(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, [wanted[0] + b"!", *wanted[1:]])


class SizesThatDoNotAddUp(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        data = b"".join(wanted)
        outcomes = tuple(map(len, wanted))
        answer = Files(request=message.request, first=0, outcomes=outcomes, size=len(data) - 1, more=False)
        await channel.send(answer, data[1:])


class MoreBytesThanFiles(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        answer = Files(request=message.request, first=0, outcomes=(1,), size=DATA_BYTES_MAX, more=True)
        await channel.send(answer, bytes(DATA_BYTES_MAX))


class TheSameTwice(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, wanted[:2], more=True)
        await self.say(channel, message, 0, wanted)


class LeftOut(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 1, wanted[1:])


class BeyondTheLast(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, [*wanted, b"one more"])


class EndsEarly(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, wanted[:2])


class TooLarge(Bearer):
    async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
        await self.say(channel, message, 0, [bytes(SMALL_FILE_BYTES_MAX), *wanted[1:]])


FAULTS: list[tuple[type[Bearer], CloseCode]] = [
    (WrongBytes, CloseCode.BAD_DATA),
    (AnotherSize, CloseCode.BAD_DATA),
    (TooLarge, CloseCode.BAD_DATA),
    (SizesThatDoNotAddUp, CloseCode.BAD_DATA),
    (MoreBytesThanFiles, CloseCode.BAD_DATA),
    (TheSameTwice, CloseCode.WRONG_ORDER),
    (LeftOut, CloseCode.WRONG_ORDER),
    (BeyondTheLast, CloseCode.WRONG_ORDER),
    (EndsEarly, CloseCode.WRONG_ORDER),
]


@pytest.mark.parametrize(("mallory", "code"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_who_gives_what_was_not_asked_for_is_named_and_dropped(
    mallory: type[Bearer], code: CloseCode
) -> None:
    async def act(world: SimWorld) -> None:
        bearer = mallory()
        async with stranger(world, "mallory", bearer) as somebody:
            await somebody.offer(*bearer.offers)
            alice = await world.person("alice")
            await alice.finds("39")
            [whole] = await alice.face.get("mallory/notes")
            await world.pass_time(2)
            assert [ending.code for ending in somebody.ended] == [code]
            [source] = (await alice.view(whole.id)).sources
            assert (source.nick, source.state) == ("mallory", "lied")
            asked = len(bearer.heard)
            await world.person("bob", NOTES)
            await alice.finished_folder(whole.id)
            assert len(bearer.heard) == asked

    play(act)


def test_an_answer_without_an_end_is_left_alone_once_every_file_is_here() -> None:
    class NeverEnding(Bearer):
        async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
            await self.say(channel, message, 0, wanted, more=True)
            with suppress(Disconnected):
                while True:
                    await self.say(channel, message, len(wanted), [b"more"], more=True)
                    await trio.sleep(0.1)

    async def act(world: SimWorld) -> None:
        bearer = NeverEnding()
        async with stranger(world, "mallory", bearer) as somebody:
            await somebody.offer(*bearer.offers)
            world.contents |= {world.digest(data): "note" for data in NOTES.values()}
            alice = await world.person("alice")
            await alice.finds("39")
            [whole] = await alice.face.get("mallory/notes")
            await alice.finished_folder(whole.id)
            await world.pass_time(2 * IDLE_S)
            assert len(somebody.ended) == 1

    play(act)


def test_one_lie_costs_one_file_and_what_came_before_it_counts() -> None:
    async def act(world: SimWorld) -> None:
        bearer = WrongBytes()
        async with stranger(world, "mallory", bearer) as somebody:
            await somebody.offer(*bearer.offers)
            alice = await world.person("alice")
            await alice.finds("39")
            [whole] = await alice.face.get("mallory/notes")
            view = await alice.sees(whole.id, lambda view: view.files_done > 0, "some files")
            assert view.files_done == 3
            world.contents |= {world.digest(data): "note" for data in NOTES.values()}

    play(act)


def test_who_never_answers_is_left_and_others_are_asked() -> None:
    class Silent(Bearer):
        async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
            """Nothing."""

    async def act(world: SimWorld) -> None:
        bearer = Silent()
        async with stranger(world, "mallory", bearer) as somebody:
            await somebody.offer(*bearer.offers)
            alice = await world.person("alice")
            await alice.finds("39")
            await world.person("bob", NOTES)
            await alice.finds("39", sources=2)
            [whole] = await alice.face.get("mallory/notes")
            await world.pass_time(SILENT_S / 2)
            assert (await alice.view(whole.id)).state is not DownloadState.COMPLETE
            await alice.finished_folder(whole.id)

    play(act)


def test_a_person_who_refuses_every_file_leaves_each_to_others() -> None:
    class Empty(Bearer):
        async def give(self, channel: Channel, message: FetchFiles, wanted: Sequence[bytes]) -> None:
            outcomes = tuple(-(Reason.FILE_CHANGED if n % 2 else 200) for n in range(len(wanted)))
            await channel.send(
                Files(request=message.request, first=0, outcomes=outcomes, size=0, more=False), b""
            )

    async def act(world: SimWorld) -> None:
        bearer = Empty()
        async with stranger(world, "mallory", bearer) as somebody:
            await somebody.offer(*bearer.offers)
            alice = await world.person("alice")
            await alice.finds("39")
            await world.person("bob", NOTES)
            await alice.finds("39", sources=2)
            [whole] = await alice.face.get("mallory/notes")
            await alice.finished_folder(whole.id)

    play(act)


# --- as an uploader ---------------------------------------------------------------------------------


def test_what_an_uploader_is_asked() -> None:
    """Nothing without a slot, not too much at once, nothing that makes no sense; and a cancel is heard."""

    async def act(world: SimWorld) -> None:
        await world.person("bob", NOTES, upload_rate=16)
        bearer = Bearer()
        async with stranger(world, "mallory", bearer) as somebody:
            await world.pass_time(1)
            issued = await somebody.ticket_to("bob")
            async with somebody.visit("bob", issued.ticket) as channel:

                def wanting(*numbers: int) -> FetchFiles:
                    files = tuple(bearer.ids[number] for number in numbers)
                    return FetchFiles(request=channel.next_request(), files=files)

                with pytest.raises(Refused) as refusal:
                    await channel.ask(wanting(0))
                assert refusal.value.reason is Reason.NO_SLOT
                await channel.ask(OpenFile(request=channel.next_request(), file=bearer.ids[0]))
                unknown = FetchFiles(request=channel.next_request(), files=(bytes(32), bearer.ids[1]))
                answer = await channel.ask(unknown)
                assert answer.outcomes == (-Reason.NO_SUCH_FILE, len(bearer.contents[1]))
                async with channel.request(wanting(*range(40))) as answers:
                    async for incoming in answers:
                        assert incoming.message.first == 0
                        break  # the rest is cancelled
                await world.pass_time(3)
                refused = []

                async def ask() -> None:
                    try:
                        async with channel.request(wanting(2)) as answers:
                            async for _ in answers:
                                pass
                    except Refused as error:
                        refused.append(error.reason)

                async with trio.open_nursery() as nursery:
                    for _ in range(FETCHES_OPEN_MAX + 20):
                        nursery.start_soon(ask)
                assert set(refused) == {Reason.TOO_MUCH}
                too_many = tuple(bytes([n % 256]) * 32 for n in range(FETCH_FILES_MAX))
                with pytest.raises(Disconnected):
                    await channel.ask(FetchFiles(request=channel.next_request(), files=too_many, offers=(1,)))
                assert channel.ending is not None
                assert channel.ending.code is CloseCode.BAD_MESSAGE

    play(act)
