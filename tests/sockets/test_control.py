"""A second process and a running engine, over a real loopback socket; and strangers who try the same."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from client.engine.control import CALLS, connect_running, serve_control
from client.engine.face import Face
from client.engine.profile import Profile
from client.engine.search_view import SearchFilters
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import Disconnected, LocalTrouble, Reason, Refused
from p2pshare.transport import local_calls
from p2pshare.transport.local_calls import CALL_BYTES_MAX, RunningProgram
from tests.fake_face import FakeFace, download_view, result_view


@dataclass
class Engine:
    """One that runs, as another process sees it."""

    face: FakeFace
    profile: Profile
    remote: Face

    @property
    def secrets(self) -> Any:
        return json.loads(self.profile.running_file.read_text())

    async def say(self, data: bytes) -> bytes:
        """What a stranger hears who sends `data`."""
        async with await trio.open_tcp_stream("127.0.0.1", self.secrets["port"]) as stream:
            heard = b""
            try:
                await stream.send_all(data)
                async for part in stream:
                    heard += part
            except trio.BrokenResourceError:
                pass
            return heard


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    face, profile = FakeFace(), Profile(tmp_path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, face, profile)
            remote = await connect_running(profile)
            assert remote
            yield Engine(face, profile, remote)
            nursery.cancel_scope.cancel()


def test_every_method_of_the_face_can_be_called_and_nothing_else() -> None:
    assert set(CALLS.methods) == {name for name in vars(Face) if not name.startswith("_")}


async def test_arguments_and_results_arrive_as_they_were_given(engine: Engine) -> None:
    engine.face.found = (result_view(1, "Beyoncé – Halo 😀.flac"),)
    chosen = SearchFilters(kinds=("audio",), size_max=9)
    assert await engine.remote.search("halo", chosen) == await engine.face.search("halo")
    assert engine.face.calls[0] == ("search", "halo", chosen, "relevance", 50)
    assert await engine.remote.status() == await engine.face.status()
    (download,) = await engine.remote.get("1", None)
    assert isinstance(download, DownloadView)
    assert download.state is DownloadState.LOOKING
    await engine.remote.pause(download.id)
    assert engine.face.going[download.id].state is DownloadState.PAUSED


async def test_a_path_that_is_no_valid_text_survives_the_way(engine: Engine) -> None:
    assert (await engine.remote.add_share("/music/\udcff")).path == "/music/\udcff"


async def test_a_large_answer_arrives_whole(engine: Engine) -> None:
    engine.face.going = {n: download_view(n, "x" * 200, DownloadState.PAUSED) for n in range(5_000)}
    assert await engine.remote.downloads() == tuple(engine.face.going.values())


async def test_errors_keep_their_class_sentence_and_reason(engine: Engine) -> None:
    with pytest.raises(Refused) as refused:
        await engine.remote.rename("taken")
    assert refused.value.reason is Reason.NICK_TAKEN
    assert refused.value.text == Reason.NICK_TAKEN.__doc__
    with pytest.raises(LocalTrouble, match=r"There is no download 7\."):
        await engine.remote.pause(7)


async def test_a_mistake_of_the_engine_is_a_sentence_and_the_engine_goes_on(engine: Engine) -> None:
    with pytest.raises(LocalTrouble, match="made a mistake"):
        await engine.remote.search("bug")
    assert await engine.remote.uploads() == ()


async def test_calls_run_beside_each_other_and_hanging_up_cancels_one(engine: Engine) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.remote.search, "for ever")
        while not engine.face.calls:
            await engine.remote.uploads()
        nursery.cancel_scope.cancel()
    while not engine.face.cancelled:
        await engine.remote.uploads()


async def test_the_secrets_are_for_the_owner_only_and_go_with_the_engine(tmp_path: Path) -> None:
    profile = Profile(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, FakeFace(), profile)
        assert stat.S_IMODE(profile.running_file.stat().st_mode) == 0o600
        nursery.cancel_scope.cancel()
    assert list(tmp_path.iterdir()) == []
    assert await connect_running(profile) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"[" * 50_000 + b"\n",
        b'{"secret": "wrong", "method": "stop", "arguments": {}}\n',
        b'{"secret": 7, "method": "stop", "arguments": {}}\n',
        b'{"secret": "\\ud800", "method": "stop", "arguments": {}}\n',
        b'{"method": "stop", "arguments": {}}\n',
        b"x" * (CALL_BYTES_MAX + (2 << 20)),
    ],
    ids=lambda data: repr(data[:30]),
)
async def test_a_stranger_hears_nothing_and_the_engine_goes_on(engine: Engine, data: bytes) -> None:
    assert await engine.say(data) == b""
    assert engine.face.calls == []
    assert await engine.remote.uploads() == ()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("__init__", {}),
        ("no such", {}),
        (7, {}),
        ({}, {}),
        ("pause", {"download": "one"}),
        ("pause", {"download": 1, "more": 2}),
        ("pause", {"self": 1, "download": 2}),
        ("pause", {}),
        ("pause", [1]),
        ("search", {"query": 7}),
        ("search", {"query": "x", "kinds": "audio"}),
    ],
)
async def test_a_call_that_fits_no_method_ends_that_connection_only(
    engine: Engine, method: object, arguments: object
) -> None:
    call = {"secret": engine.secrets["call"], "method": method, "arguments": arguments}
    heard = await engine.say(json.dumps(call).encode() + b"\n")
    assert json.loads(heard) == {"secret": engine.secrets["answer"]}
    assert engine.face.calls == []
    assert await engine.remote.uploads() == ()


async def test_somebody_who_says_nothing_is_not_waited_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_calls, "CALL_TIMEOUT_S", 0.05)
    assert await engine.say(b'{"secret": ') == b""


async def test_too_many_at_once_are_turned_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_calls, "CALLS_OPEN_MAX", 0)
    with pytest.raises(Disconnected):
        await engine.remote.uploads()


async def test_another_program_on_the_port_of_a_dead_engine_is_found_out(tmp_path: Path) -> None:
    profile = Profile(tmp_path)

    async def stranger(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b'{"secret": "guess"}\n{"result": null}\n')

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, stranger, 0)
        port = listeners[0].socket.getsockname()[1]
        profile.running_file.write_text(json.dumps({"port": port, "call": "a", "answer": "b", "pid": 1}))
        assert await connect_running(profile) is None
        nursery.cancel_scope.cancel()


async def test_one_that_ends_leaves_alone_what_its_successor_wrote(tmp_path: Path) -> None:
    profile = Profile(tmp_path)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as older:
            await older.start(serve_control, FakeFace(), profile)
            await nursery.start(serve_control, FakeFace(), profile)
            older.cancel_scope.cancel()
        assert await connect_running(profile)
        nursery.cancel_scope.cancel()
    assert await connect_running(profile) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"port": "x"}', "\x00", '{"port": 1, "call": "a", "answer": "b"}']
)
async def test_a_damaged_note_of_a_running_engine_means_none_runs(tmp_path: Path, text: str) -> None:
    profile = Profile(tmp_path)
    profile.running_file.write_text(text)
    assert await connect_running(profile) is None


async def test_an_engine_of_another_version_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.face, "nick", 7)
    with pytest.raises(LocalTrouble, match="another version"):
        await engine.remote.status()


def test_no_call_of_the_face_is_hidden_by_what_carries_it() -> None:
    assert CALLS.methods.keys() & vars(RunningProgram).keys() == set()
