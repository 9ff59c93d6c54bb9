"""Many people want the same file: how fast it grows, who is found through whom, what strangers try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from client.engine.downloads.others import DUDS_MAX
from client.engine.status import DownloadState
from p2pshare.errors import Reason, Refused
from p2pshare.identity import Identity
from p2pshare.limits import FETCH_PIECES_MAX, KIB, MIB, OTHERS_MAX, OTHERS_PAUSE_S, PIECE_BYTES_MIN
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Holder
from p2pshare.wire.peer import AskOthers, DropFile, FileOpened, Have, OpenFile, Others, Turn
from scripts.bench.swarm_engine import run_engines
from scripts.bench.swarm_model import run_model
from scripts.bench.swarm_outcome import Task
from tests.sim.stranger import Giver, offer_of, stranger
from tests.sim.world import SimWorld, run_scenario
from tests.world import World, content

FILM = content("sunrise", 2 * MIB)
PATH = "films/Sunrise.dat"

Act = Callable[[SimWorld], Awaitable[None]]


def play(act: Act, seed: int = 1) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        await act(world)

    run_scenario(scenario, seed)


# --- how fast ---------------------------------------------------------------------------------------------


def test_people_who_want_the_same_file_get_it_from_each_other() -> None:
    """Were the seed alone, it would take eight times as long as one copy."""
    outcome = run_engines(people=8, size=8 * MIB, uplink=256 * KIB)
    assert outcome.efficiency > 0.75, outcome.row()
    assert outcome.duplicates <= 0.01, outcome.row()
    assert outcome.seed_copies <= 1.25, outcome.row()


def test_the_model_says_what_the_engines_do() -> None:
    engines = run_engines(people=6, size=4 * MIB, uplink=256 * KIB)
    model = run_model(engines.task)
    assert model.took_s == pytest.approx(engines.took_s, rel=0.15)


def test_more_people_are_no_slower() -> None:
    task = Task(4, 16 * MIB, PIECE_BYTES_MIN, 256 * KIB)
    few, many = run_model(task), run_model(replace(task, people=16))
    assert few.efficiency > 0.85 and many.efficiency > 0.85
    assert max(few.duplicates, many.duplicates) <= 0.01
    assert max(few.seed_copies, many.seed_copies) <= 1.15


def test_people_who_give_nothing_cost_the_others_little() -> None:
    task = Task(16, 64 * MIB, PIECE_BYTES_MIN, 512 * KIB)
    riders = 6
    without = run_model(replace(task, people=task.people - riders))
    assert run_model(task, free_riders=riders).took_s <= without.took_s * 1.1


def test_several_sources_add_up() -> None:
    rates = (96, 128, 192, 224)  # KiB/s

    async def act(world: SimWorld) -> None:
        film = content("intolerance", 16 * MIB)
        for number, rate in enumerate(rates):
            await world.person(f"source{number}", {"films/Intolerance.dat": film}, upload_rate=rate)
        alice = await world.person("alice")
        found = await alice.finds("intolerance", sources=len(rates))
        view = await alice.fetches(found)
        assert view.finished_at is not None
        took_s = view.finished_at - view.added_at
        assert len(film) / (sum(rates) * KIB) >= 0.95 * took_s
        assert view.wasted_bytes <= 0.01 * len(film)

    play(act)


# --- who is found through whom ----------------------------------------------------------------------------


def test_sources_are_found_through_each_other() -> None:
    """Nobody asks the index server again for a minute, and yet two who began together find each other."""

    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM}, upload_rate=64)
        alice, carol = await world.person("alice"), await world.person("carol")
        await alice.finds("sunrise")
        link = await bob.face.link(str(bob.shared(PATH)))
        first, second = await alice.begins(link), await carol.begins(link)
        for person, view in ((alice, first), (carol, second)):
            await person.sees(
                view.id,
                lambda view: sum(source.done_bytes > 0 for source in view.sources) == 2,
                "something from two sources",
            )
        assert len(FILM) / (64 * KIB) > 30  # it was found long before the file was here
        await alice.finished(first.id)
        await carol.finished(second.id)

    play(act)


def test_somebody_who_joins_late_and_somebody_who_leaves_early_change_nothing_for_the_others() -> None:
    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM}, upload_rate=64)
        alice, carol = (
            await world.person("alice", upload_rate=64),
            await world.person("carol", upload_rate=64),
        )
        await alice.finds("sunrise")
        link = await bob.face.link(str(bob.shared(PATH)))
        first, second = await alice.begins(link), await carol.begins(link)
        await alice.half_way(first.id, 0.3)
        dave = await world.person("dave", upload_rate=64)
        third = await dave.begins(link)
        await world.leave("carol")
        await alice.finished(first.id)
        await dave.finished(third.id)
        assert second.state is not DownloadState.COMPLETE

    play(act)


# --- strangers --------------------------------------------------------------------------------------------


class NamesNobodyReal(Giver):
    """Gives slowly, and names people who do not exist, and alice herself."""

    def __init__(self, data: bytes, victim: bytes) -> None:
        super().__init__(data)
        self.victim = victim
        self.asked = 0

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        message = incoming.message
        if isinstance(message, AskOthers):
            self.asked += 1
            nobody = [
                Identity.from_seed(bytes([self.asked, number]) + bytes(30)).node_id
                for number in range(OTHERS_MAX - 1)
            ]
            server = nobody[0]
            some = tuple(Holder(node=node, nick="nobody", server=server) for node in (self.victim, *nobody))
            await channel.send(Others(request=message.request, some=some))  # type: ignore[arg-type]
        else:
            await super().__call__(channel, incoming)

    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), position=1, wait_s=60)  # and never gives


def test_who_names_people_that_do_not_exist_is_not_listened_to_for_long() -> None:
    async def act(world: SimWorld) -> None:
        alice = await world.person("alice")
        mallory = NamesNobodyReal(FILM, world.identity("alice").node_id)
        async with stranger(world, "mallory", mallory) as somebody:
            await somebody.offer(offer_of(mallory, PATH))
            begun = await alice.begins(await alice.finds("sunrise", of={"mallory"}))
            await world.pass_time(300)
            view = await alice.view(begun.id)
            assert mallory.asked == 1, "after the first answer nothing more was wanted of them"
            assert [source.nick for source in view.sources] == ["mallory"]
            assert OTHERS_MAX > DUDS_MAX
            await world.person("bob", {PATH: FILM})
            await alice.begins(await alice.finds("sunrise", of={"bob"}))
            await alice.finished(begun.id)

    play(act)


def test_others_are_named_only_to_who_has_the_file_open_and_not_all_the_time() -> None:
    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, upload_rate=16)
        alice = await world.person("alice")
        begun = await alice.begins(await alice.finds("sunrise"))
        await alice.half_way(begun.id, 0.05)
        file = Giver(FILM).hashes.file_id
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            issued = await mallory.ticket_to("bob")
            async with mallory.visit("bob", issued.ticket) as channel:

                async def ask() -> tuple[Holder, ...]:
                    others = await channel.ask(AskOthers(request=channel.next_request(), file=file))
                    assert isinstance(others, Others)
                    return others.some

                with pytest.raises(Refused) as refused:
                    await ask()
                assert refused.value.reason is Reason.NO_SUCH_FILE
                await channel.ask(OpenFile(request=channel.next_request(), file=file))
                assert [holder.nick for holder in await ask()] == ["alice"]
                with pytest.raises(Refused) as refused:
                    await ask()
                assert refused.value.reason is Reason.TOO_MUCH
                await world.pass_time(OTHERS_PAUSE_S)
                assert await ask()
                await channel.send(DropFile(file=file))
                with pytest.raises(Refused) as refused:
                    await ask()
        await alice.face.cancel(begun.id)

    play(act)


class Chatters(Giver):
    """Holds a part, and floods whoever opens the file with turns, haves and turns of other files."""

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        await super().__call__(channel, incoming)
        if isinstance(incoming.message, OpenFile):
            for number in range(400):
                channel.post(Turn(file=self.hashes.file_id, pieces=FETCH_PIECES_MAX))
                channel.post(Turn(file=bytes(32), pieces=number % 3))  # type: ignore[arg-type]
                channel.post(Have(file=self.hashes.file_id, pieces=(number, 60_000 + number)))
                channel.post(Turn(file=self.hashes.file_id, pieces=0))

    def opened(self, message: OpenFile) -> FileOpened:
        return replace(super().opened(message), pieces=bytes(4), turns=True)


def test_a_flood_of_turns_and_haves_does_no_harm() -> None:
    async def act(world: SimWorld) -> None:
        alice = await world.person("alice")
        giver = Chatters(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            await mallory.offer(offer_of(giver, PATH))
            begun = await alice.begins(await alice.finds("sunrise", of={"mallory"}))
            await world.pass_time(5)
            await world.person("bob", {PATH: FILM})
            await alice.begins(await alice.finds("sunrise", of={"bob"}))
            await alice.finished(begun.id)

    play(act)


def test_who_claims_to_hold_what_they_lack_and_asks_without_a_turn_gets_nothing() -> None:
    """A stranger who tells haves of every piece, and fetches what was not allowed."""

    async def act(world: SimWorld) -> None:
        await world.person("bob", {PATH: FILM}, upload_rate=16)
        alice = await world.person("alice")
        begun = await alice.begins(await alice.finds("sunrise"))
        await alice.half_way(begun.id, 0.05)
        giver = Giver(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            issued = await mallory.ticket_to("alice")
            async with mallory.visit("alice", issued.ticket) as channel:
                file = giver.hashes.file_id
                opened = await channel.ask(OpenFile(request=channel.next_request(), file=file))
                assert isinstance(opened, FileOpened) and opened.turns
                channel.post(Have(file=file, pieces=tuple(range(512))))
                channel.post(Have(file=bytes(32), pieces=(1,)))  # type: ignore[arg-type]
                await world.pass_time(1)
                assert channel.ending is None
        await alice.face.cancel(begun.id)

    play(act)
