"""Floods of every kind of question: what a server spends on them, counted in work done, not in seconds.

The honest part of a flood is answered; the rest costs a look at a bucket and a short refusal, however much
there is of it. `scripts/bench/floods.py` says what such a refusal costs in time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from index_server import commands
from index_server.config import load_config
from index_server.search.catalogue import Catalogue
from index_server.server import open_server
from p2pshare.addresses import Address
from p2pshare.database import Database
from p2pshare.errors import CloseCode, Disconnected, Reason, Refused
from p2pshare.identity import Identity, format_node_id
from p2pshare.limits import SEARCHES_OPEN_MAX
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve
from p2pshare.wire import index, rules
from p2pshare.wire.fields import Role, RuleAction, RuleList, Subject
from p2pshare.wire.manifest import EMPTY_MANIFEST
from tests.sim.network import SimInternet
from tests.sim.scheduler import simulate
from tests.world import UNIX_START

PORT = 4747
FLOOD = 400
OWNER = Identity.from_seed(b"owner".ljust(32))
SETTINGS = {
    "server.announce": "false",
    "server.port": str(PORT),
    "limits.searches_per_minute": "60",
    "limits.publishes_per_minute": "30",
    "limits.tickets_per_minute": "30",
    "limits.logins_per_minute": "40",
    "limits.accounts_per_address": "2",
    "accounts.registrations_per_hour": "5",
    "rules.owners": format_node_id(OWNER.node_id),
}


class Work(Counter[str]):
    """What the server did: units on the database, searches, pairs of tickets that were signed."""

    @contextmanager
    def counted(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for where, name, what in (
                (Database, "read", "units"),
                (Database, "write", "units"),
                (Catalogue, "search", "searches"),
                (commands, "introduce", "introductions"),
            ):
                patch.setattr(where, name, self._counting(getattr(where, name), what))
            yield

    def _counting(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            self[what] += 1
            return function(*arguments, **named)

        return counting


@dataclass
class Town:
    """A server, and a way to it for people behind addresses of their own."""

    internet: SimInternet
    server: Identity
    chance: random.Random
    work: Work

    def endpoint(self, name: str, host: str) -> Endpoint:
        network = self.internet.hosts.get(host) or self.internet.host(host)
        identity = Identity.from_seed(name.encode().ljust(32)[:32])
        return Endpoint.create(identity, network=network, random_bytes=self.chance.randbytes)

    @asynccontextmanager
    async def connected(self, name: str, host: str = "") -> AsyncIterator[Channel]:
        where = Address(self.internet.hosts["index"].address, PORT)
        async with dial(self.endpoint(name, host or name), [where], self.server.node_id) as channel:
            yield channel

    @asynccontextmanager
    async def person(self, name: str, host: str = "") -> AsyncIterator[Channel]:
        """Registered and logged in."""
        async with self.connected(name, host) as channel:
            await channel.ask(index.Register(request=channel.next_request(), nick=name))
            await channel.ask(index.Login(request=channel.next_request()))
            yield channel


@dataclass
class Outcome:
    """How a flood was answered."""

    answered: int = 0
    refused: int = 0


async def flood(channel: Channel, build: Callable[[int], Any], times: int = FLOOD) -> Outcome:
    """Ask all the time, as many at once as are allowed, and never wait as told."""
    outcome, turn = Outcome(), iter(range(times))

    async def ask_on() -> None:
        for _ in turn:
            try:
                await channel.ask(build(channel.next_request()))
                outcome.answered += 1
            except Refused as refused:
                assert refused.reason is Reason.TOO_MUCH, refused.text
                assert refused.retry_after_s > 0, "one is told when to go on"
                outcome.refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(SEARCHES_OPEN_MAX):
            nursery.start_soon(ask_on)
    return outcome


def play(act: Callable[[Town], Awaitable[None]]) -> None:
    async def scenario(chance: random.Random) -> None:
        async with SimInternet(chance) as internet:
            identity, work = Identity.from_seed(b"s" * 32), Work()
            network = internet.host("index")
            endpoint = Endpoint.create(identity, Role.INDEX, network=network, random_bytes=chance.randbytes)
            config = load_config(None, {}, SETTINGS)
            async with open_server(
                config, endpoint, ":memory:", threads=False, unix_now=lambda: UNIX_START + trio.current_time()
            ):
                await trio.sleep(1)
                with work.counted():
                    await act(Town(internet, identity, chance, work))

    simulate(scenario, 1)


def near(count: int, budget: int) -> bool:
    """A budget, and what came in during the flood, which is over within seconds."""
    return budget <= count <= budget * 1.25


def test_searches() -> None:
    async def act(town: Town) -> None:
        async with town.person("mallory") as mallory:
            before = town.work["units"]
            outcome = await flood(mallory, lambda request: index.Search(request=request, query="blue"))
            assert near(outcome.answered, 60) and outcome.answered + outcome.refused == FLOOD
            assert town.work["searches"] == outcome.answered
            assert town.work["units"] == before

    play(act)


def test_many_accounts_behind_one_address_have_little_more_than_one() -> None:
    async def act(town: Town) -> None:
        answered = 0
        for number in range(5):
            async with town.person(f"sock{number}", "puppets") as sock:
                outcome = await flood(sock, lambda request: index.Search(request=request, query="a"), 100)
                answered += outcome.answered
        assert near(answered, 120), "two accounts' worth, as the settings say"
        async with town.person("alice") as alice:
            outcome = await flood(alice, lambda request: index.Search(request=request, query="a"), 50)
            assert outcome.refused == 0, "nobody else notices"

    play(act)


def test_publishes() -> None:
    async def act(town: Town) -> None:
        async with town.person("mallory") as mallory:
            before = town.work["units"]
            outcome = await flood(
                mallory,
                lambda request: index.Publish(
                    request=request, base=EMPTY_MANIFEST, result=EMPTY_MANIFEST, removed=(), added=()
                ),
            )
            assert near(outcome.answered, 30)
            assert town.work["units"] - before <= outcome.answered

    play(act)


def test_tickets_and_whoever_they_are_for_is_not_flooded() -> None:
    async def act(town: Town) -> None:
        heard = 0
        async with town.person("bob") as bob, town.person("mallory") as mallory:
            me = town.endpoint("bob", "bob")
            listeners = await me.network.listen(None, 4_000)

            async def admit(channel: Channel) -> None:
                await channel.over.wait()

            async def count() -> None:
                nonlocal heard
                async for incoming in bob.incoming():
                    heard += isinstance(incoming.message, index.Caller)

            async with trio.open_nursery() as nursery:
                await nursery.start(serve, me, listeners, admit, Gate())
                await bob.ask(index.Listen(request=bob.next_request(), port=4_000))
                nursery.start_soon(count)
                before = town.work["units"]
                outcome = await flood(mallory, lambda request: index.AskTicket(request=request, node=me.node))
                await trio.sleep(1)
                nursery.cancel_scope.cancel()
            assert near(outcome.answered, 30)
            assert town.work["introductions"] == heard == outcome.answered
            assert town.work["units"] == before

    play(act)


def test_nick_changes() -> None:
    async def act(town: Town) -> None:
        async with town.person("mallory") as mallory:
            before = town.work["units"]
            nicks = iter(range(FLOOD))
            outcome = await flood(
                mallory, lambda request: index.Rename(request=request, nick=f"mallory{next(nicks)}")
            )
            assert 4 <= outcome.answered <= 6
            assert town.work["units"] - before == outcome.answered

    play(act)


def test_logins_of_keys_without_an_account() -> None:
    async def act(town: Town) -> None:
        tries = refused = 0
        for number in range(20):
            async with town.connected(f"nobody{number}", "puppets") as channel:
                for _ in range(8):
                    tries += 1
                    try:
                        await channel.ask(index.Login(request=channel.next_request()))
                    except Refused as error:
                        refused += error.reason is Reason.TOO_MUCH
        assert near(tries - refused, 40)
        assert town.work["units"] <= tries - refused

    play(act)


def test_one_connection_tries_to_log_in_a_few_times_and_is_closed() -> None:
    async def act(town: Town) -> None:
        async with town.connected("nobody") as channel:
            with pytest.raises(Disconnected, match="Too many tries"):
                while True:
                    with suppress(Refused):
                        await channel.ask(index.Register(request=channel.next_request(), nick="a b"))
        assert town.work["units"] <= 8

    play(act)


def test_registrations() -> None:
    async def act(town: Town) -> None:
        registered = 0
        for number in range(60):
            async with town.connected(f"new{number}", "puppets") as channel:
                try:
                    await channel.ask(index.Register(request=channel.next_request(), nick=f"new{number}"))
                    registered += 1
                except Refused as error:
                    assert error.reason is Reason.TOO_MUCH and error.retry_after_s > 0
        assert registered == 5, "so many an hour from one address"
        assert town.work["units"] <= 50 + registered, "what is too much is not even looked up"

    play(act)


def test_moderators_words_from_nobody_cost_nothing_but_the_look_at_a_table() -> None:
    async def act(town: Town) -> None:
        async with town.person("mallory") as mallory:
            before = town.work["units"]
            for build in (
                lambda request: rules.Moderate(
                    request=request,
                    action=RuleAction.BAN,
                    subject=Subject.ADDRESS,
                    target="10.0.0.0/8",
                    reason="x",
                ),
                lambda request: rules.ListRules(request=request, list=RuleList.LOG),
                lambda request: rules.AskWhy(request=request),
            ):
                with pytest.raises(Refused) as refused:
                    await mallory.ask(build(mallory.next_request()))
                assert refused.value.reason is Reason.NOT_YOUR_ROLE
            assert town.work["units"] == before

    play(act)


def test_connections_from_a_banned_address_are_given_no_handshake_but_a_few_to_read_why() -> None:
    async def act(town: Town) -> None:
        async with town.person("owner") as owner, town.person("mallory") as mallory:
            address = town.internet.hosts["mallory"].address
            await owner.ask(
                rules.Moderate(
                    request=owner.next_request(),
                    action=RuleAction.BAN,
                    subject=Subject.ADDRESS,
                    target=address,
                    for_s=86_400,
                    reason="a flood",
                )
            )
            with trio.fail_after(5):
                await mallory.over.wait()
            assert mallory.ending is not None and mallory.ending.code is CloseCode.NOT_ADMITTED
            assert str(mallory.ending).endswith("a flood.")
            told, turned_away = set(), 0
            for number in range(100):
                try:
                    async with town.connected(f"other{number}", "mallory") as channel:
                        await channel.ask(index.Login(request=channel.next_request()))
                except Refused as refused:
                    assert refused.reason is Reason.BANNED and refused.retry_after_s > 86_000
                    told.add(refused.text)
                except Disconnected:
                    turned_away += 1
            assert told == {str(mallory.ending)} and 95 <= turned_away < 100
            before = town.work["units"]
            async with town.person("bob"):
                assert town.work["units"] > before, "others come and go"

    play(act)


def test_who_asks_without_reading_is_disconnected() -> None:
    async def act(town: Town) -> None:
        async with town.person("mallory") as mallory:
            with pytest.raises(Disconnected):
                while True:
                    await mallory.send(index.Search(request=mallory.next_request(), query="a"))

    play(act)
