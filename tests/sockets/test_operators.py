"""The operator's side of a running server: its office, what people feel of it, and the HTTP side."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from index_server.__main__ import main
from index_server.admin.calling import CALLS_FILE
from index_server.admin.office import CALLS, Office
from index_server.admin.registration import Mode
from index_server.admin.serving import serve_operator
from index_server.web import serving
from p2pshare.errors import CloseCode, LocalTrouble, Reason, Refused
from p2pshare.identity import format_node_id
from p2pshare.links import Invite, parse_link_untrusted
from p2pshare.wire import account, index
from tests.sockets.test_index_server import HURRY_S, House, Person, house, offers, process

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOT_BYTES_MIN = 20_000  # an empty page has some 5,000


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Place:
    """A server, its office, and where its HTTP side is."""

    house: House
    office: Office
    port: int

    async def get(self, path: str) -> tuple[int, str]:
        """(status, body), once the HTTP side is up."""

        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=HURRY_S) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        with trio.fail_after(HURRY_S):
            while True:
                try:
                    return await trio.to_thread.run_sync(ask)
                except urllib.error.URLError:
                    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def place(folder: Path, **settings: str) -> AsyncIterator[Place]:
    settings = {"server__data": str(folder), "web__port": str(free_port())} | settings
    async with house(folder / "index.sqlite", **settings) as here:
        assert here.server is not None
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_operator, here.server, "p2pshare-index test")
            office = await CALLS.connect(folder / CALLS_FILE)
            assert office is not None
            yield Place(here, cast(Office, office), int(settings["web__port"]))
            nursery.cancel_scope.cancel()


async def record(person: Person) -> list[dict[str, Any]]:
    lines: list[str] = []
    cursor = b""
    while True:
        page = await person.ask(account.AskRecord, cursor=cursor)
        lines += page.lines
        cursor = page.cursor
        if not cursor:
            return [json.loads(line) for line in lines]


# --- words -----------------------------------------------------------------------------------------------


async def test_an_announcement_reaches_who_is_there_at_once_and_others_at_their_login(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        async with here.house.person("bob"):
            pass
        assert await here.office.announce("We move on Sunday.") == 1
        assert (await alice.hears(account.Announcement)).text == "We move on Sunday."
        async with here.house.connected("bob") as bob:
            await bob.log_in()
            assert (await bob.hears(account.Announcement)).text == "We move on Sunday."
        with pytest.raises(LocalTrouble, match="1 to 2,048 bytes"):
            await here.office.announce("x" * 3_000)


async def test_the_message_of_the_day_is_read_at_the_next_login(tmp_path: Path) -> None:
    async with place(tmp_path, server__welcome="usual") as here:
        assert (await here.office.set_message("Be kind.")).text == "Be kind."
        async with here.house.connected("alice") as alice:
            await alice.ask(index.Register, nick="alice")
            assert (await alice.log_in()).welcome == "Be kind."
        assert (await here.office.set_message(None)).text == "usual"


# --- registration ----------------------------------------------------------------------------------------


async def test_only_who_has_an_invite_gets_in_and_whoever_is_in_stays(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice"):
        assert await here.office.set_registration(Mode.INVITE) == "invite"
        invited = await here.office.create_invite(1, 0, "for Bob")
        link = parse_link_untrusted(invited.link)
        assert isinstance(link, Invite)
        assert link.server == here.house.invite.server
        async with here.house.connected("bob") as bob:
            refused = await bob.refused(index.Register, nick="bob")
            assert (refused.reason, "invite" in refused.text) == (Reason.REGISTRATION_CLOSED, True)
            await bob.ask(index.Register, nick="bob", code=link.code)
            await bob.log_in()
            assert (await here.office.person("bob")).invite == link.code
        async with here.house.connected("carl") as carl:
            assert "used up" in (await carl.refused(index.Register, nick="carl", code=link.code)).text
        async with here.house.connected("alice") as again:
            await again.log_in()
        [listed] = await here.office.invites()
        assert (listed.code.used, listed.code.note, listed.link) == (1, "for Bob", invited.link)
        await here.office.revoke_invite(link.code)
        assert await here.office.invites() == ()


# --- people ----------------------------------------------------------------------------------------------


async def test_people_are_listed_and_shown(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        async with here.house.person("bob"):
            pass
        everybody = await here.office.people()
        assert everybody.total == 2
        assert {person.nick for person in everybody.people} == {"alice", "bob"}
        [online] = (await here.office.people(online=True)).people
        assert (online.nick, online.offers, online.address[:9]) == ("alice", 2, "127.0.0.1")
        assert [person.nick for person in (await here.office.people("BO")).people] == ["bob"]
        assert await here.office.person(format_node_id(alice.me.node)) == online
        with pytest.raises(Refused) as caught:
            await here.office.person("nobody")
        assert caught.value.reason is Reason.NO_SUCH_PERSON


async def test_everybody_can_read_all_that_is_kept_about_them(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        for start in (0, 400):
            await alice.publish(*offers(*range(start, start + 400)))
        mine = await record(alice)
        assert mine[0]["nick"] == "alice"
        assert sum(line["what"] == "offer" for line in mine) == 800
        first = await here.office.record("alice")
        assert [json.loads(line) for line in first.lines] == mine[: len(first.lines)]
        assert (await alice.refused(account.AskRecord, cursor=b"x")).reason is Reason.BAD_QUERY


async def test_who_erases_their_account_is_gone_with_everything(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("bob") as bob:
        async with here.house.person("alice") as alice:
            await alice.publish(*offers(1, 2, 3))
            assert (await bob.search("wu-tang")).total == 3
            await alice.ask(account.EraseAccount)
            assert (await alice.ending()).code is CloseCode.BYE
        assert (await bob.search("wu-tang")).total == 0
        assert (await bob.refused(index.LookUp, nick="alice")).reason is Reason.NO_SUCH_PERSON
        async with here.house.connected("alice") as again:
            assert (await again.refused(index.Login)).reason is Reason.NOT_REGISTERED
        async with here.house.person("carl") as carl:
            assert (await carl.ask(index.Rename, nick="Alice")).nick == "Alice"


async def test_an_operator_erases_who_is_online_and_who_is_not(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        async with here.house.person("bob"):
            pass
        assert (await here.office.erase("alice")).nick == "alice"
        assert "erased" in str(await alice.ending())
        await here.office.erase("bob")
        assert (await here.office.people()).total == 0


async def test_the_operator_moderates_and_everybody_sees_what_is_filtered_and_why(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        await here.office.moderate("hide", "word", "wu", 0, "nobody", "too loud", "")
        assert (await alice.search("tang")).hidden == 2
        made = await here.office.moderate("ban", "account", "alice", 60, "nobody", "rude", "write to us")
        assert (made.by, made.nick, made.until - made.at) == ("operator", "alice", 60)
        assert "rude" in str(await alice.ending())
        filtered = {(one.what, one.why): one.count for one in (await here.office.status()).filters}
        assert filtered == {("Words hidden from search", "too loud"): 1, ("People banned", "rude"): 1}
        assert "too loud" in (await here.get("/"))[1]
        assert [rule.action for rule in await here.office.rules("log", 9)] == ["ban", "hide"]
        with pytest.raises(LocalTrouble, match="too long"):
            await here.office.moderate("hide", "word", "x", 0, "nobody", "y" * 999, "")


# --- the HTTP side ---------------------------------------------------------------------------------------


async def test_the_http_side_tells_how_the_server_stands(tmp_path: Path) -> None:
    async with place(tmp_path, server__name="Harbour") as here, here.house.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        for _ in range(5):
            await alice.search("wu-tang")
        await alice.refused(index.Search, query='"')
        status, body = await here.get("/status")
        view = json.loads(body)
        assert (status, view["online"], view["files"], view["kinds"]) == (200, 1, 2, {"audio": 2})
        assert {one["kind"]: (one["total"], one["refused"]) for one in view["requests"]}["search"] == (6, 1)
        assert "Harbour" in (await here.get("/"))[1]
        assert await here.get("/healthz") == (200, "well\n")
        assert await here.get("/readyz") == (200, "ready\n")
        assert (await here.get("/elsewhere"))[0] == 404


async def test_prometheus_can_read_the_figures(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.house.person("alice") as alice:
        await alice.search("wu-tang")
        await alice.refused(index.Search, query='"')
        _, text = await here.get("/metrics")
        samples = {
            (sample.name.removeprefix("p2pshare_index_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert samples[("online",)] == 1
        assert samples[("request_seconds_count", "search")] == 2
        assert samples[("request_seconds_bucket", "search", "+Inf")] == 2
        assert samples[("refused_total", "search", "bad_query")] == 1
        assert samples[("request_seconds_count", "login")] == 1
        dashboard = (Path(__file__).parents[2] / "index_server/deploy/grafana.json").read_text()
        told = {name for name, *_ in samples}
        asked = {word for word in _words(dashboard) if word.startswith("p2pshare_index_")}
        assert {name.removeprefix("p2pshare_index_") for name in asked} - told == set()


def _words(text: str) -> set[str]:
    return set("".join(char if char.isalnum() or char == "_" else " " for char in text).split())


async def test_a_server_that_is_not_ready_yet_says_so(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        assert here.house.server is not None
        await here.house.server.filled.wait()
        here.house.server.filled = trio.Event()
        status, text = await here.get("/readyz")
        assert (status, "reading from disk" in text) == (503, True)
        assert (await here.get("/healthz"))[0] == 200


async def test_a_port_that_is_taken_costs_the_status_page_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "RETRY_S", 0.01)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with place(tmp_path, web__port=port) as here, here.house.person("alice") as alice:
            await trio.testing.wait_all_tasks_blocked()
            assert (await alice.search("wu-tang")).total == 0
            taken.close()
            assert await here.get("/healthz") == (200, "well\n")


# --- from a shell, and in a browser ----------------------------------------------------------------------


async def test_an_operator_at_a_shell_looks_after_a_running_server(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(main, ["--server-data", str(tmp_path), *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    async def admin(*words: str) -> str:
        return await trio.to_thread.run_sync(run, *words)

    async with process(tmp_path) as (here, _), here.person("alice"):
        assert json.loads(await admin("admin", "status", "--json"))["online"] == 1
        assert "alice\tonline from 127.0.0.1" in await admin("admin", "people", "list")
        await admin("admin", "backup", str(tmp_path / "today.backup"))
    restored = await admin("restore", str(tmp_path / "today.backup"), "--replace", "--json")
    assert json.loads(restored)["accounts"] == 1


async def test_the_status_page_is_drawn_by_a_real_browser(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"None of {', '.join(BROWSERS)} is installed: nothing can draw the page.")
    picture = tmp_path / "page.png"
    async with place(tmp_path, server__name="Harbour") as here, here.house.person("alice") as alice:
        await alice.publish(*offers(1, 2))
        await alice.search("wu-tang")
        await here.get("/")
        drawn = await trio.run_process(
            [
                browser,
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}"),
                *("--window-size=1180,900", f"--screenshot={picture}", f"http://127.0.0.1:{here.port}/"),
            ],
            capture_stderr=True,
            check=False,
        )
    said = drawn.stderr.decode(errors="replace")
    assert drawn.returncode == 0, said
    assert picture.stat().st_size > SCREENSHOT_BYTES_MIN
    assert "Content Security Policy" not in said  # nothing that the page wants is refused
