"""Coming back: lost connections, resumed sessions, crowds, and a server that starts anew."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio
import trio.testing

from index_server import commands
from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, Reason, Refused
from p2pshare.identity import format_node_id
from p2pshare.transport.dial import dial
from p2pshare.wire import index, rules
from p2pshare.wire.fields import RuleAction, Subject
from tests.sockets.test_index_server import HURRY_S, House, Person, endpoint, house, listening, process


async def lose(person: Person) -> None:
    """Their connection is gone without a word."""
    await trio.aclose_forcefully(person.channel._line._stream)
    await person.channel.over.wait()


async def is_online(asker: Person, nick: str) -> bool:
    return bool((await asker.ask(index.LookUp, nick=nick)).online)


async def detached(here: House, account: int) -> None:
    """Until the server has noticed that a connection is lost."""
    assert here.server is not None
    visitor = here.server.desk.online.by_account(account)
    while visitor is not None and visitor.channel is not None:  # the server is no part of us
        await trio.testing.wait_all_tasks_blocked()


async def test_who_is_lost_without_a_word_stays_online_and_resumes() -> None:
    async with house() as here, here.person("alice") as alice:
        async with here.connected("bob") as bob, listening(bob.me) as port:
            await bob.ask(index.Register, nick="bob")
            token = (await bob.log_in()).resume
            assert (await bob.ask(index.Listen, port=port)).reachable
            await lose(bob)
        await detached(here, 2)
        assert await is_online(alice, "bob")
        issued = await alice.ask(index.AskTicket, node=bob.me.node)
        assert issued.addresses[0].port == port  # the client goes on, as far as anybody knows
        async with here.connected("bob") as bob:
            welcome = await bob.ask(index.Login, resume=token)
            assert welcome.resumed and welcome.resume != token
            assert (await bob.hears(index.Caller)).node == alice.me.node  # what it has missed
            assert (await alice.ask(index.AskTicket, node=bob.me.node)).addresses[0].port == port


async def test_who_says_goodbye_is_offline_at_once() -> None:
    async with house(limits__lookups_per_minute="100000") as here, here.person("alice") as alice:
        async with here.person("bob"):
            pass
        while await is_online(alice, "bob"):
            pass


async def test_who_does_not_come_back_within_the_time_of_grace_is_offline() -> None:
    async with (
        house(connections__grace="0.1 s", limits__lookups_per_minute="100000") as here,
        here.person("alice") as alice,
    ):
        async with here.person("bob") as bob:
            await lose(bob)
        while await is_online(alice, "bob"):
            pass


async def test_a_token_of_somebody_else_or_of_before_resumes_nothing() -> None:
    async with house() as here, here.connected("bob") as bob:
        await bob.ask(index.Register, nick="bob")
        token = (await bob.log_in()).resume
        assert len(token) == limits.RESUME_TOKEN_BYTES
        async with here.connected("mallory") as mallory:
            await mallory.ask(index.Register, nick="mallory")
            assert not (await mallory.ask(index.Login, resume=token)).resumed
        for wrong in (b"", b"x", bytes(limits.RESUME_TOKEN_BYTES)):
            async with here.connected("bob") as again:
                assert not (await again.ask(index.Login, resume=wrong)).resumed


async def test_a_session_goes_on_even_if_the_server_still_believes_in_the_old_connection() -> None:
    async with house() as here, here.connected("bob") as bob, listening(bob.me) as port:
        await bob.ask(index.Register, nick="bob")
        token = (await bob.log_in()).resume
        await bob.ask(index.Listen, port=port)
        async with here.connected("bob") as again:
            assert (await again.ask(index.Login, resume=token)).resumed
            assert (await bob.ending()).code is CloseCode.REPLACED
            assert (await again.ask(index.LookUp, nick="bob")).online


async def test_a_crowd_beyond_the_rate_is_told_when_to_come_again_without_a_handshake() -> None:
    async with house(connections__logins_per_second="2") as here:
        assert here.server is not None
        told: list[int] = []
        for number in range(8):
            me = endpoint(f"person{number}")
            try:
                async with dial(me, here.invite.addresses, here.invite.server):
                    pass
            except Disconnected as error:
                assert error.code is CloseCode.TOO_MANY
                told.append(error.retry_after_s)
        assert len(told) >= 5
        assert told == sorted(told) and 1 <= told[0] < told[-1] <= 4


async def test_who_asks_on_without_reading_is_bounded_and_cut_off_and_nobody_waits() -> None:
    async with house(limits__lookups_per_minute="100000") as here, here.person("alice") as alice:
        assert here.server is not None
        async with here.person("mallory") as mallory, trio.open_nursery() as nursery:
            mallory.channel._reading.cancel()  # type: ignore[union-attr]
            visitor = here.server.desk.online.by_account(2)
            assert visitor is not None and visitor.channel is not None
            channel = visitor.channel

            async def flood() -> None:
                session, number = mallory.channel._session, 1_000
                stream = mallory.channel._line._stream
                while channel.ending is None:
                    for _ in range(200):
                        number += 1
                        session.send(index.LookUp(request=number, nick="alice"))
                    try:
                        await stream.send_all(session.data_to_send(limits.MIB))
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        return

            nursery.start_soon(flood)
            with trio.fail_after(HURRY_S * 3):
                while channel.ending is None:
                    assert (
                        channel._session.pending_bytes
                        <= limits.INDEX_OUTBOX_BYTES_MAX + limits.FRAME_BYTES_MAX
                    )
                    assert (await alice.ask(index.LookUp, nick="alice")).online
        assert channel.ending.code in (CloseCode.TOO_SLOW, CloseCode.TOO_FAST)


async def test_what_goes_beyond_the_open_requests_costs_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    running = 0

    async def never(desk: object, visitor: object, message: object) -> index.Person:
        nonlocal running
        running += 1
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setitem(commands.COMMANDS, index.LookUp, commands.Command(never, "lookups_per_minute"))
    async with house() as here, here.person("mallory") as mallory, trio.open_nursery() as nursery:
        refusals: list[Reason] = []

        async def ask() -> None:
            try:
                await mallory.channel.ask(index.LookUp(request=mallory.channel.next_request(), nick="x"))
            except Refused as refused:
                refusals.append(refused.reason)

        mallory.channel._open_requests = trio.Semaphore(1_000)  # no honest client asks for so much at once
        for _ in range(limits.REQUESTS_OPEN_MAX + 10):
            nursery.start_soon(ask)
        while len(refusals) < 10:
            await trio.testing.wait_all_tasks_blocked()
        assert refusals == [Reason.TOO_MUCH] * 10
        assert running == limits.REQUESTS_OPEN_MAX
        nursery.cancel_scope.cancel()


async def test_a_server_that_starts_anew_keeps_its_port_and_its_people(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    async with process(tmp_path / "data", "--config", str(settings)) as (here, server):
        async with here.connected("alice") as alice, listening(alice.me) as port:
            await alice.ask(index.Register, nick="alice")
            token = (await alice.log_in()).resume
            assert (await alice.ask(index.Listen, port=port)).reachable
            settings.write_text("[server]\nname = 'renamed'\n")
            server.send_signal(signal.SIGHUP)
            ending = await alice.ending()
            assert ending.code is CloseCode.GOING_AWAY
        with trio.fail_after(30):  # nobody is ever refused: whoever connects meanwhile waits
            async with here.connected("bob") as bob:
                await bob.ask(index.Register, nick="bob")
                assert (await bob.log_in()).server_name == "renamed"
                found = await bob.ask(index.LookUp, nick="alice")
                assert found.online  # though she is not back yet
                issued = await bob.ask(index.AskTicket, node=found.node)
                assert issued.addresses[0].port == port
                async with here.connected("alice") as alice:
                    assert (await alice.ask(index.Login, resume=token)).resumed
        assert server.poll() is None  # it is the same process


async def test_a_server_that_could_not_start_anew_goes_on_as_it_is(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    async with process(tmp_path / "data", "--config", str(settings)) as (here, server):
        async with here.person("alice") as alice:
            settings.unlink()
            os.mkfifo(settings)  # so that we know when they are read
            for _ in range(2):  # the second time is after the first has failed
                server.send_signal(signal.SIGHUP)
                with trio.fail_after(30):
                    await trio.to_thread.run_sync(settings.write_text, "[server]\nnome = 'mistyped'\n")
            assert await is_online(alice, "alice")


async def test_who_is_banned_while_detached_is_offline_at_once() -> None:
    async with house(rules__owners=format_node_id(endpoint("olga").node)) as here:
        async with here.person("olga") as olga:
            async with here.person("bob") as bob:
                await lose(bob)
            await detached(here, 2)
            assert await is_online(olga, "bob")
            await olga.ask(
                rules.Moderate, action=RuleAction.BAN, subject=Subject.ACCOUNT, target="bob", reason="rude"
            )
            assert not await is_online(olga, "bob")
            async with here.connected("bob") as bob:
                assert "rude" in str(await bob.refused(index.Login))
