"""An index server on real sockets, spoken to by bare channels: no client code takes part."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import trio
import trio.testing

from index_server import commands
from index_server.config import load_config
from index_server.server import SNAPSHOT_FILE, IndexServer, open_server
from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.links import Invite, parse_link_untrusted
from p2pshare.tickets import check_ticket_untrusted
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve
from p2pshare.wire import index
from p2pshare.wire.fields import AddressField, Filters, Offer, Role
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.session import Cancel

SERVER = Endpoint.create(Identity.from_seed(b"s" * 32), Role.INDEX)
FILE = FileId(b"f" * 32)
QUIET = {"server.hosts": "127.0.0.1", "server.port": "0", "server.announce": "false", "web.port": "0"}
HURRY_S = 10  # what takes longer than this on loopback never ends


def endpoint(name: str) -> Endpoint:
    return Endpoint.create(Identity.from_seed(name.encode().ljust(32)[:32]))


def offers(*numbers: int, file: FileId | None = None) -> tuple[Offer, ...]:
    return tuple(
        Offer(offer=number, path=f"Wu-Tang/{number}.mp3", size=1_000, file=file) for number in numbers
    )


class Person:
    """One connection to the server, with short names for what can be asked."""

    def __init__(self, me: Endpoint, channel: Channel) -> None:
        self.me = me
        self.channel = channel
        self.manifest = EMPTY_MANIFEST

    async def ask(self, message: type[Any], **fields: Any) -> Any:
        with trio.fail_after(HURRY_S):
            return await self.channel.ask(message(request=self.channel.next_request(), **fields))

    async def log_in(self) -> index.LoggedIn:
        welcome: index.LoggedIn = await self.ask(index.Login)
        self.manifest = welcome.manifest
        return welcome

    async def publish(self, *added: Offer) -> int:
        result = change_digest(self.manifest, added=map(offer_hash, added))
        published = await self.ask(index.Publish, base=self.manifest, result=result, removed=(), added=added)
        self.manifest = result
        return int(published.offers)

    async def search(self, query: str, **filters: Any) -> index.SearchHits:
        hits: index.SearchHits = await self.ask(index.Search, query=query, **filters)
        return hits

    async def refused(self, message: type[Any], **fields: Any) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.ask(message, **fields)
        return caught.value

    async def hears(self, message: type[Any]) -> Any:
        with trio.fail_after(HURRY_S):
            async for incoming in self.channel.incoming():
                assert isinstance(incoming.message, message)
                return incoming.message
        raise AssertionError("the connection is over")

    async def ending(self) -> Disconnected:
        with trio.fail_after(HURRY_S):
            await self.channel.over.wait()
        assert self.channel.ending is not None
        return self.channel.ending


@dataclass
class House:
    """A server and the way to it."""

    invite: Invite
    server: IndexServer | None = None

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncIterator[Person]:
        me = endpoint(name)
        async with dial(me, self.invite.addresses, self.invite.server) as channel:
            yield Person(me, channel)

    @asynccontextmanager
    async def person(self, name: str) -> AsyncIterator[Person]:
        """Registered and logged in."""
        async with self.connected(name) as person:
            await person.ask(index.Register, nick=name)
            await person.log_in()
            yield person


@asynccontextmanager
async def house(database: Path | str = ":memory:", **settings: str) -> AsyncIterator[House]:
    """A server in this process. Settings as in `limits__port_tests="1"`."""
    flags = QUIET | {key.replace("__", "."): text for key, text in settings.items()}
    with trio.fail_after(50):
        async with open_server(load_config(None, {}, flags), SERVER, database) as server:
            yield House(Invite(SERVER.node, (Address("127.0.0.1", server.port),), ""), server)


@asynccontextmanager
async def listening(me: Endpoint) -> AsyncIterator[int]:
    """`me` takes connections on this port."""

    async def attend(channel: Channel) -> None:
        await channel.over.wait()

    listeners = await me.network.listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, me, listeners, attend, Gate())
        yield me.network.port(listeners)
        nursery.cancel_scope.cancel()


# --- accounts --------------------------------------------------------------------------------------------


async def test_one_registers_logs_in_and_is_told_who_one_is() -> None:
    async with (
        house(server__name="ours", server__welcome="Be kind.") as here,
        here.connected("alice") as alice,
    ):
        assert (await alice.refused(index.Login)).reason is Reason.NOT_REGISTERED
        assert (await alice.ask(index.Register, nick="Alice")).nick == "Alice"
        assert (await alice.ask(index.Register, nick="Other")).nick == "Alice"
        welcome = await alice.log_in()
        assert (welcome.nick, welcome.manifest) == ("Alice", EMPTY_MANIFEST)
        assert (welcome.server_name, welcome.welcome) == ("ours", "Be kind.")
        assert welcome.observed.host == "127.0.0.1"


async def test_nicks_are_unique_for_the_eye_and_can_be_changed() -> None:
    async with house() as here, here.person("alice") as alice, here.connected("mallory") as mallory:
        assert (await mallory.refused(index.Register, nick="a1ice")).reason is Reason.NICK_TAKEN
        assert (await mallory.refused(index.Register, nick="a b")).reason is Reason.NICK_BAD
        assert (await alice.ask(index.Rename, nick="wonder")).nick == "wonder"
        assert (await mallory.ask(index.Register, nick="a1ice")).nick == "a1ice"
        await mallory.log_in()
        found = await mallory.ask(index.LookUp, nick="W0nder")
        assert (found.node, found.nick, found.online) == (alice.me.node, "wonder", True)


async def test_people_are_looked_up_by_key_or_nick_whether_online_or_not() -> None:
    async with house() as here, here.person("alice") as alice:
        async with here.person("bob") as bob:
            await bob.publish(*offers(1, 2))
        # The server notices a moment later that Bob has left.
        while (person := await alice.ask(index.LookUp, node=bob.me.node)).online:
            await trio.testing.wait_all_tasks_blocked()
        assert (person.nick, person.offers) == ("bob", 2)
        assert (await alice.refused(index.LookUp, nick="nobody")).reason is Reason.NO_SUCH_PERSON
        assert (await alice.refused(index.LookUp)).reason is Reason.NO_SUCH_PERSON


async def test_a_closed_server_takes_nobody_new() -> None:
    async with house(accounts__registration="closed") as here, here.connected("alice") as alice:
        assert (await alice.refused(index.Register, nick="alice")).reason is Reason.REGISTRATION_CLOSED


async def test_registrations_from_one_address_are_limited() -> None:
    async with (
        house(accounts__registrations_per_hour="1") as here,
        here.person("alice"),
        here.connected("bob") as bob,
    ):
        refused = await bob.refused(index.Register, nick="bob")
        assert refused.reason is Reason.TOO_MUCH and refused.retry_after_s > 0


async def test_who_does_not_log_in_is_not_waited_for() -> None:
    async with house(connections__login_within="0 s") as here, here.connected("alice") as alice:
        assert (await alice.ending()).code is CloseCode.SILENT


async def test_a_later_connection_of_the_same_key_replaces_the_older() -> None:
    async with house() as here, here.person("alice") as older:
        await older.publish(*offers(1))
        async with here.person("alice") as newer:
            assert (await older.ending()).code is CloseCode.REPLACED
            assert (await newer.search("wu-tang")).total == 1


# --- files -----------------------------------------------------------------------------------------------


async def test_what_one_person_publishes_another_finds() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        assert await alice.publish(*offers(7, file=FILE)) == 1
        filters = Filters(extensions=("mp3",), size_min=1_000, size_max=1_000)
        hits = await bob.search('wu-tang "7 mp3" -live', filters=filters)
        [hit] = hits.hits
        assert (hits.total, hits.cursor) == (1, b"")
        assert (hit.file, hit.path, hit.sources) == (FILE, "Wu-Tang/7.mp3", 1)
        [source] = hit.some
        assert (source.node, source.nick, source.offer) == (alice.me.node, "alice", 7)
        found = await bob.ask(index.FindSources, file=FILE)
        assert (found.total, found.some) == (1, (source,))
        assert (await bob.ask(index.FindSources, file=FileId(bytes(32)))).total == 0


async def test_the_asker_is_counted_but_not_named_as_a_source() -> None:
    async with house() as here, here.person("alice") as alice:
        await alice.publish(*offers(7, file=FILE))
        [hit] = (await alice.search("7")).hits
        assert (hit.sources, hit.some) == (1, ())


async def test_files_of_who_is_offline_are_hidden_and_come_back_without_a_word() -> None:
    async with house() as here, here.person("bob") as bob:
        async with here.person("alice") as alice:
            await alice.publish(*offers(1, 2))
            manifest = alice.manifest
        while (await bob.search("wu-tang")).total:
            await trio.testing.wait_all_tasks_blocked()
        async with here.connected("alice") as alice:
            assert (await alice.log_in()).manifest == manifest
            assert (await bob.search("wu-tang")).total == 2


async def test_pages_hang_together_by_their_cursor() -> None:
    async with house() as here, here.person("alice") as alice:
        await alice.publish(*offers(*range(7)))
        first = await alice.search("wu-tang", limit=4)
        second = await alice.search("wu-tang", limit=4, cursor=first.cursor)
        assert (first.total, len(first.hits), len(second.hits), second.cursor) == (7, 4, 3, b"")
        assert len({hit.path for hit in first.hits + second.hits}) == 7
        assert (await alice.refused(index.Search, query="a", cursor=b"x")).reason is Reason.BAD_QUERY


async def test_a_page_of_the_longest_hits_fits_its_frame() -> None:
    long = "/".join(["é" * 100] * 5)
    async with house() as here, AsyncExitStack() as people:

        async def holder(name: str) -> Person:
            return await people.enter_async_context(here.person(name))

        alice = await holder("alice")
        everybody = [await holder(f"{'x' * 28}{number:04}"[-32:]) for number in range(9)]
        for person in everybody:
            made = [
                Offer(offer=n, path=f"{long} {n}", size=1, file=FileId(n.to_bytes(32, "big")))
                for n in range(100)
            ]
            await person.publish(*made)
        seen: list[str] = []
        cursor = b""
        while True:
            page = await alice.search("é" * 100, limit=100, cursor=cursor)
            seen += [hit.path for hit in page.hits]
            assert all(len(hit.some) == limits.HIT_SOURCES_MAX for hit in page.hits)
            cursor = page.cursor
            if not cursor:
                break
        assert len(seen) == len(set(seen)) == 100


async def test_a_publish_is_whole_or_nothing() -> None:
    async with house(accounts__offers="3") as here, here.person("alice") as alice:
        await alice.publish(*offers(1))
        base, added = alice.manifest, offers(2)
        result = change_digest(base, added=map(offer_hash, added))
        bad = (Offer(offer=2, path="a/../b", size=1),)
        for fields, reason in (
            ({"base": EMPTY_MANIFEST, "result": result, "added": added}, Reason.MANIFEST_MISMATCH),
            ({"base": base, "result": base, "added": added}, Reason.MANIFEST_MISMATCH),
            ({"base": base, "result": result, "added": bad}, Reason.FAILED),
            (
                {"base": base, "result": change_digest(base, added=map(offer_hash, offers(2, 3, 4))),
                 "added": offers(2, 3, 4)},
                Reason.TOO_MUCH,
            ),
        ):  # fmt: skip
            assert (await alice.refused(index.Publish, removed=(), **fields)).reason is reason
            assert (await alice.search("wu-tang")).total == 1
        assert await alice.publish(*added) == 2


# --- meeting ---------------------------------------------------------------------------------------------


async def test_a_ticket_leads_to_whoever_can_be_reached() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        async with listening(alice.me) as port:
            tested = await alice.ask(index.Listen, port=port)
            assert (tested.reachable, tested.observed, tested.text) == (
                True, AddressField(host="127.0.0.1", port=port), ""
            )  # fmt: skip
            issued = await bob.ask(index.AskTicket, node=alice.me.node)
            assert issued.addresses == (tested.observed,) and not issued.reverse
            caller = await alice.hears(index.Caller)
            assert (caller.node, caller.nick, caller.addresses) == (bob.me.node, "bob", ())
            for ticket, asker, target in ((issued.ticket, bob, alice), (caller.ticket, alice, bob)):
                check_ticket_untrusted(
                    ticket,
                    asker=asker.me.node,
                    target=target.me.node,
                    servers={SERVER.node},
                    unix_now=time.time(),
                )
            await alice.publish(*offers(7))
            [hit] = (await bob.search("7")).hits
            assert hit.some[0].reachable


async def test_whoever_cannot_be_reached_is_asked_to_call_back() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        assert (await bob.refused(index.AskTicket, node=alice.me.node)).reason is Reason.UNREACHABLE
        async with listening(bob.me) as port:
            await bob.ask(index.Listen, port=port)
            issued = await bob.ask(index.AskTicket, node=alice.me.node)
            assert issued.reverse and issued.addresses == ()
            caller = await alice.hears(index.Caller)
            assert caller.reverse and caller.addresses == (AddressField(host="127.0.0.1", port=port),)


async def test_tickets_to_nobody_to_the_absent_and_to_oneself_are_refused() -> None:
    async with house() as here, here.person("alice") as alice:
        async with here.person("bob") as bob:
            pass
        stranger = endpoint("stranger").node
        assert (await alice.refused(index.AskTicket, node=stranger)).reason is Reason.NO_SUCH_PERSON
        assert (await alice.refused(index.AskTicket, node=alice.me.node)).reason is Reason.NO_SUCH_PERSON
        while (await alice.refused(index.AskTicket, node=bob.me.node)).reason is not Reason.OFFLINE:
            await trio.testing.wait_all_tasks_blocked()


async def test_a_port_is_only_open_if_the_clients_own_key_answers_there() -> None:
    async with house() as here, here.person("alice") as alice:
        async with listening(endpoint("somebody else")) as port:
            tested = await alice.ask(index.Listen, port=port)
        assert not tested.reachable and "Somebody else" in tested.text
        tested = await alice.ask(index.Listen, port=port)  # nobody listens any more
        assert not tested.reachable and "refused" in tested.text


# --- limits and faults -----------------------------------------------------------------------------------


async def test_requests_run_side_by_side_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = trio.Event()

    async def slow(desk: object, visitor: object, message: index.Search) -> index.SearchHits:
        await gate.wait()
        return index.SearchHits(request=message.request, total=0, hits=())

    row = commands.Command(slow, "searches_per_minute", limits.SEARCHES_OPEN_MAX)
    monkeypatch.setitem(commands.COMMANDS, index.Search, row)
    async with house() as here, here.person("alice") as alice, trio.open_nursery() as nursery:
        answered: list[int] = []

        async def search(number: int) -> None:
            await alice.search("x")
            answered.append(number)

        cancelled = trio.CancelScope()

        async def give_up() -> None:
            with cancelled:
                await alice.search("x")

        nursery.start_soon(give_up)
        for number in range(limits.SEARCHES_OPEN_MAX - 1):
            nursery.start_soon(search, number)
        await trio.testing.wait_all_tasks_blocked()
        refused = await alice.refused(index.Search, query="x")
        assert refused.reason is Reason.TOO_MUCH and refused.retry_after_s > 0
        assert (await alice.ask(index.LookUp, nick="alice")).nick == "alice"
        cancelled.cancel()
        while (await alice.ask(index.LookUp, nick="alice")) and len(alice.channel._abandoned):
            pass  # until the server has said that it was cancelled
        nursery.start_soon(search, 99)
        gate.set()
        while len(answered) < limits.SEARCHES_OPEN_MAX:
            await trio.testing.wait_all_tasks_blocked()


async def test_an_account_that_asks_too_often_is_told_when_to_go_on() -> None:
    async with house(limits__searches_per_minute="2") as here, here.person("alice") as alice:
        await alice.search("x")
        await alice.search("x")
        refused = await alice.refused(index.Search, query="x")
        assert (refused.reason, refused.retry_after_s) == (Reason.TOO_MUCH, 30)


async def test_a_mistake_of_our_own_costs_one_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(desk: object, visitor: object, message: index.Search) -> index.SearchHits:
        raise ZeroDivisionError

    monkeypatch.setitem(commands.COMMANDS, index.Search, commands.Command(broken, "searches_per_minute"))
    async with house() as here, here.person("alice") as alice:
        assert (await alice.refused(index.Search, query="secret words")).reason is Reason.FAILED
        assert (await alice.ask(index.LookUp, nick="alice")).nick == "alice"


async def test_who_breaks_the_order_is_closed_and_nobody_else() -> None:
    async with house() as here, here.person("alice") as alice, here.connected("mallory") as mallory:
        await mallory.channel.send(Cancel(request=5))  # of nothing: no fault
        mallory.channel._session._phase = alice.channel._session._phase  # forget what we may not say
        await mallory.channel.send(index.Search(request=1, query="x"))
        assert (await mallory.ending()).code is CloseCode.WRONG_ORDER
        assert (await alice.search("x")).total == 0


async def test_a_request_number_in_use_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(desk: object, visitor: object, message: object) -> Any:
        await trio.sleep_forever()

    monkeypatch.setitem(commands.COMMANDS, index.Search, commands.Command(never, "searches_per_minute"))
    async with house() as here, here.person("mallory") as mallory:
        for _ in range(2):
            await mallory.channel.send(index.Search(request=77, query="x"))
        assert (await mallory.ending()).code is CloseCode.WRONG_ORDER


async def test_a_publish_that_contradicts_itself_is_a_fault() -> None:
    async with house() as here, here.person("mallory") as mallory:
        with pytest.raises((Disconnected, PeerFault)):
            await mallory.publish(*offers(1, 1))
        assert (await mallory.ending()).code is CloseCode.BAD_MESSAGE


# --- a server process ------------------------------------------------------------------------------------


@asynccontextmanager
async def process(folder: Path, *flags: str) -> AsyncIterator[tuple[House, trio.Process]]:
    """A server process that is killed at the end if it still runs."""
    quiet = [part for key, text in QUIET.items() for part in (f"--{key.replace('.', '-')}", text)]
    command = [sys.executable, "-m", "index_server", *quiet, "--server-data", str(folder), *flags]
    started: trio.Process = await trio.lowlevel.open_process(command, stdout=PIPE, env={**os.environ})
    try:
        assert started.stdout is not None
        said = b""
        with trio.fail_after(30):
            while b"Ctrl-C" not in said:
                part = await started.stdout.receive_some()
                assert part, f"the server ended early: {said!r}"
                said += part
        [link] = [word.strip("'") for word in said.decode().split() if "p2pshare:join?" in word]
        invite = parse_link_untrusted(link)
        assert isinstance(invite, Invite)
        yield House(invite), started
    finally:
        started.kill()
        with trio.CancelScope(shield=True):
            await started.wait()


async def stopped(server: trio.Process) -> int:
    with trio.fail_after(HURRY_S):
        return await server.wait()


async def test_a_server_that_is_asked_to_stop_says_goodbye_and_comes_back_as_it_was(tmp_path: Path) -> None:
    async with process(tmp_path) as (here, server), here.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        key, manifest = here.invite.server, alice.manifest
        server.send_signal(signal.SIGTERM)
        assert (await alice.ending()).code is CloseCode.GOING_AWAY
        assert await stopped(server) == 0
    async with process(tmp_path) as (here, server), here.connected("alice") as alice:
        assert here.invite.server == key
        assert (await alice.log_in()).manifest == manifest
        while (await alice.search("wu-tang")).total < 2:  # the catalogue is being filled
            pass


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """The snapshot of the first stop is stale by then, and a change is under way."""
    async with process(tmp_path) as (here, server), here.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        server.send_signal(signal.SIGTERM)
        assert await stopped(server) == 0
    assert (tmp_path / SNAPSHOT_FILE).exists()
    async with process(tmp_path) as (here, server), here.connected("alice") as alice:
        await alice.log_in()
        await alice.publish(*offers(3))
        acknowledged = alice.manifest

        async def publish_more() -> None:
            with suppress(Disconnected):
                await alice.publish(*offers(4))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish_more)
            await trio.testing.wait_all_tasks_blocked()
            server.kill()
            await stopped(server)
    async with process(tmp_path) as (here, server), here.connected("alice") as alice:
        kept = (await alice.log_in()).manifest
        more = change_digest(acknowledged, added=map(offer_hash, offers(4)))
        assert kept in (acknowledged, more)
        with trio.fail_after(HURRY_S):
            while (found := (await alice.search("wu-tang")).total) < 3:
                pass
        assert found == (3 if kept == acknowledged else 4)


async def test_a_second_server_on_the_same_folder_is_refused_in_words(tmp_path: Path) -> None:
    async with process(tmp_path):
        second = await trio.run_process(
            [sys.executable, "-m", "index_server", "--server-data", str(tmp_path)],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
        )
    assert second.returncode == 1
    assert b"Another index server is running" in second.stderr
    assert second.stdout == b""


async def test_the_log_has_no_searches_names_or_nicks(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            async with process(tmp_path, "--log-format", "json", "--log-level", "debug") as (here, server):
                async with here.person("veryprivate") as alice:
                    await alice.publish(Offer(offer=1, path="hushhush.mp3", size=1))
                    await alice.search("secretquery")
                    await alice.refused(index.LookUp, nick="somebodyelse")
                server.send_signal(signal.SIGINT)
                assert await stopped(server) == 0
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    text = (tmp_path / "log").read_text()
    assert '"event": "registered"' in text
    for word in ("veryprivate", "hushhush", "secretquery", "somebodyelse"):
        assert word not in text


async def test_the_smoke_test_passes(tmp_path: Path) -> None:
    result = await trio.run_process(
        [sys.executable, "-m", "index_server", "--smoke"], capture_stdout=True, check=False
    )
    assert result.returncode == 0
    assert result.stdout.endswith(b"OK\n")
