"""What strangers may try with receipts against a real engine and a real index server."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio

from client.engine.credit import weight
from client.engine.credit.signing import LOOK_S
from client.engine.status import PersonCreditView
from p2pshare.errors import CloseCode, Disconnected, Reason, Refused
from p2pshare.identity import Identity, format_node_id
from p2pshare.limits import KIB, MIB, RECEIPT_AHEAD_BYTES_MAX
from p2pshare.receipts import Receipt, sign_receipt
from p2pshare.transport.channel import Channel, Incoming
from p2pshare.wire.index import LookUp, ReportReceipts
from p2pshare.wire.index import Person as Looked
from p2pshare.wire.peer import Fetch, OpenFile, ReceiptSigned, SignReceipt
from tests.sim.stranger import Giver, Stranger, offer_of, stranger
from tests.sim.world import SimWorld, run_scenario
from tests.world import Person, World, content

FILM = content("nosferatu", 3 * MIB + 77)
PATH = "films/Nosferatu.dat"

Act = Callable[[SimWorld], Awaitable[None]]


def play(act: Act, seed: int = 1) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        world.contents[hashlib.sha256(FILM).hexdigest()] = PATH  # whoever shares it
        await world.index()
        await act(world)

    run_scenario(scenario, seed)


async def between(one: Person, other: Identity) -> PersonCreditView:
    views = (await one.face.credit()).people
    return next(view for view in views if view.person == format_node_id(other.node_id))


def half(by: Identity, giver: Identity, taker: Identity, total: int) -> bytes:
    return sign_receipt(by, giver=giver.node_id, taker=taker.node_id, total=total)


def whole(giver: Identity, taker: Identity, total: int) -> Receipt:
    halves = [half(each, giver, taker, total) for each in (taker, giver)]
    return Receipt(giver.node_id, taker.node_id, total, *halves)


async def takes(channel: Channel, giver: Giver) -> None:
    """Fetch the whole film, as anybody may."""
    file = giver.hashes.file_id
    await channel.ask(OpenFile(request=channel.next_request(), file=file))
    question = Fetch(request=channel.next_request(), file=file, first=0, count=giver.pieces)
    async with channel.request(question) as answers:
        async for answer in answers:
            del answer


# --- takers -----------------------------------------------------------------------------------------------


def test_who_takes_and_never_signs_is_served_on_but_waits_as_a_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weight, "UNSIGNED_MAX", 512 * KIB)

    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM})
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            for _ in range(2):
                async with mallory.visit("bob", (await mallory.ticket_to("bob")).ticket) as channel:
                    await takes(channel, Giver(FILM))
            await world.pass_time(30)
            seen = await between(bob, world.identity("mallory"))
            assert seen.given_bytes == 2 * len(FILM)
            assert (seen.given_signed, seen.refuses_to_sign, seen.weight) == (0, True, 1.0)

    play(act)


def test_nobody_has_more_signed_than_they_took() -> None:
    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM})
        me, him = world.identity("mallory"), world.identity("bob")
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            async with mallory.visit("bob", (await mallory.ticket_to("bob")).ticket) as channel:
                await takes(channel, Giver(FILM))
                most = len(FILM) + RECEIPT_AHEAD_BYTES_MAX
                for total in (1 << 40, most + 1, most, most + 1, most + RECEIPT_AHEAD_BYTES_MAX):
                    claim = SignReceipt(
                        request=channel.next_request(), total=total, signature=half(me, him, me, total)
                    )
                    answer: ReceiptSigned = await channel.ask(claim)
                    assert answer.given == len(FILM)
                assert (await between(bob, me)).given_signed == most

    play(act)


@pytest.mark.parametrize("forgery", ["signature", "known"])
def test_who_forges_is_shown_out_and_nothing_is_signed(forgery: str) -> None:
    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM})
        me, him = world.identity("mallory"), world.identity("bob")
        async with stranger(world, "mallory", Giver(FILM)) as mallory:
            async with mallory.visit("bob", (await mallory.ticket_to("bob")).ticket) as channel:
                await takes(channel, Giver(FILM))
                claim = SignReceipt(
                    request=channel.next_request(), total=100, signature=half(me, him, me, 100)
                )
                forged = replace(whole(him, me, 1 << 40), giver_signature=bytes(64)).to_bytes()
                wrong = {"signature": {"signature": bytes(64)}, "known": {"known": forged}}[forgery]
                with pytest.raises(Disconnected) as caught:
                    await channel.ask(replace(claim, **wrong))  # type: ignore[arg-type]
                assert caught.value.code is CloseCode.BAD_MESSAGE
            assert (await between(bob, me)).given_signed == 0

    play(act)


# --- givers -----------------------------------------------------------------------------------------------


class SignsNothing(Giver):
    """Gives what is asked for and never says a word about receipts."""


class Forges(Giver):
    """Answers with a receipt of much more than it gave, with the taker's half of another one."""

    def __init__(self, data: bytes, me: Identity, taker: Identity) -> None:
        super().__init__(data)
        self.me, self.taker = me, taker
        self.asked: list[SignReceipt] = []

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        message = incoming.message
        if not isinstance(message, SignReceipt):
            return await super().__call__(channel, incoming)
        self.asked.append(message)
        total = 1 << 40
        ours = half(self.me, self.me, self.taker, total)
        made = Receipt(self.me.node_id, self.taker.node_id, total, message.signature, ours)
        await channel.send(ReceiptSigned(request=message.request, receipt=made.to_bytes(), given=total))


def test_a_giver_that_never_signs_harms_nobody_and_nothing() -> None:
    async def act(world: SimWorld) -> None:
        giver = SignsNothing(FILM)
        async with stranger(world, "mallory", giver) as mallory:
            await mallory.offer(offer_of(giver, PATH))
            alice = await world.person("alice")
            await alice.fetches(await alice.finds("nosferatu"))
            await world.pass_time(120)
            seen = await between(alice, world.identity("mallory"))
            assert (seen.taken_bytes, seen.taken_signed, seen.weight) == (len(FILM), 0, 1.0)

    play(act)


def test_a_giver_that_forges_a_receipt_is_shown_out_and_gains_nothing() -> None:
    async def act(world: SimWorld) -> None:
        giver = Forges(FILM, world.identity("mallory"), world.identity("alice"))
        async with stranger(world, "mallory", giver) as mallory:
            await mallory.offer(offer_of(giver, PATH))
            alice = await world.person("alice")
            await alice.fetches(await alice.finds("nosferatu"))
            await world.pass_time(10 * LOOK_S)
            assert [message.total for message in giver.asked] == [len(FILM)]
            assert [ending.code for ending in mallory.ended] == [CloseCode.BAD_MESSAGE]
            seen = await between(alice, world.identity("mallory"))
            assert (seen.taken_bytes, seen.taken_signed, seen.weight) == (len(FILM), 0, 1.0)

    play(act)


# --- at the index server, and two who play together -------------------------------------------------------


async def reports(somebody: Stranger, *receipts: Receipt) -> int:
    told = tuple(receipt.to_bytes() for receipt in receipts)
    answer = await somebody.index.ask(ReportReceipts(request=somebody.index.next_request(), receipts=told))
    news: int = answer.news
    return news


async def looked_up(somebody: Stranger, whom: Identity) -> Looked:
    person: Looked = await somebody.index.ask(
        LookUp(request=somebody.index.next_request(), node=whom.node_id)
    )
    return person


def test_the_server_takes_no_receipt_that_is_forged_of_others_or_told_before() -> None:
    async def act(world: SimWorld) -> None:
        me, her = world.identity("mallory"), world.identity("trudy")
        async with (
            stranger(world, "mallory", Giver(FILM)) as mallory,
            stranger(world, "trudy", Giver(FILM)) as trudy,
        ):
            good = whole(me, her, 1_000)
            for forged in (
                replace(good, total=2_000),
                replace(good, giver_signature=good.taker_signature),
                whole(her, world.identity("index"), 5),
            ):
                with pytest.raises(Refused) as refused:
                    await reports(mallory, forged)
                assert refused.value.reason is Reason.FAILED
            assert await reports(mallory, good) == 1
            with pytest.raises(Refused) as refused:
                await reports(mallory, good)
            assert refused.value.reason is Reason.TOO_MUCH
            assert await reports(trudy, good) == 0
            assert await reports(trudy, whole(me, her, 999)) == 0
            person = await looked_up(trudy, me)
            assert (person.given_bytes, person.given_people, person.taken_bytes) == (1_000, 1, 0)

    play(act)


def test_receipts_that_two_made_up_are_vouched_for_by_these_two_alone_and_raise_no_priority() -> None:
    async def act(world: SimWorld) -> None:
        bob = await world.person("bob", {PATH: FILM})
        me, friend = world.identity("mallory"), world.identity("trudy")
        async with (
            stranger(world, "mallory", Giver(FILM)) as mallory,
            stranger(world, "trudy", Giver(FILM)),
        ):
            assert await reports(mallory, whole(me, friend, 1 << 40)) == 1
            assert (await looked_up(mallory, me)).given_people == 1
            async with mallory.visit("bob", (await mallory.ticket_to("bob")).ticket) as channel:
                await takes(channel, Giver(FILM))
                made_up = whole(me, friend, 1 << 40).to_bytes()
                him = world.identity("bob")
                claim = SignReceipt(
                    request=channel.next_request(), total=100, signature=half(me, him, me, 100), known=made_up
                )
                with pytest.raises(Disconnected) as caught:
                    await channel.ask(claim)
                assert caught.value.code is CloseCode.BAD_MESSAGE
            await trio.sleep(15)
            assert (await between(bob, me)).weight == 1.0

    play(act)
