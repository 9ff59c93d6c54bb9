from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from client.engine import attach
from client.engine.attach import attached
from client.engine.control import serve_control
from client.engine.profile import Profile, create_profile, locked
from client.engine.settings import Settings
from p2pshare.errors import LocalTrouble
from tests.fake_face import FakeFace


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, str | None]]:
    """What engines were started with."""
    seen: list[tuple[Settings, str | None]] = []

    @asynccontextmanager
    async def open_engine(_: Profile, settings: Settings, passphrase: str | None) -> AsyncIterator[FakeFace]:
        seen.append((settings, passphrase))
        yield FakeFace(nick=settings.nick)

    monkeypatch.setattr("client.engine.engine.open_engine", open_engine)
    return seen


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    profile = Profile(tmp_path)
    create_profile(profile, Settings(nick="anna"))
    return profile


async def nobody() -> str:
    raise AssertionError("asked for a passphrase")


async def horse() -> str:
    return "horse"


async def test_a_second_command_uses_the_engine_of_the_first(
    profile: Profile, opened: list[tuple[Settings, str | None]]
) -> None:
    async with attached(profile, nobody) as first, attached(profile, nobody) as second:
        assert (first.here, second.here) == (True, False)
        assert (await second.face.status()).nick == "anna"
    assert len(opened) == 1
    async with attached(profile, nobody) as third:
        assert third.here


async def test_a_locked_key_asks_for_its_passphrase_once(
    tmp_path: Path, opened: list[tuple[Settings, str | None]]
) -> None:
    profile = Profile(tmp_path)
    create_profile(profile, Settings(nick="anna"), "horse")
    async with attached(profile, horse), attached(profile, nobody):
        assert [passphrase for _, passphrase in opened] == ["horse"]


async def test_without_a_profile_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalTrouble, match="p2pshare init"):
        async with attached(Profile(tmp_path), nobody):
            pass


async def test_none_is_started_where_none_may_be(
    profile: Profile, opened: list[tuple[Settings, str | None]]
) -> None:
    with pytest.raises(LocalTrouble, match="No p2pshare runs"):
        async with attached(profile, nobody, may_start=False):
            pass
    assert opened == []


async def test_an_error_of_the_block_comes_out_as_it_is(
    profile: Profile, opened: list[tuple[Settings, str | None]]
) -> None:
    with pytest.raises(LocalTrouble, match=r"^mine$"):
        async with attached(profile, nobody):
            raise LocalTrouble("mine")
    assert not profile.running_file.exists()


async def test_an_engine_that_starts_just_now_is_waited_for(profile: Profile) -> None:
    async with trio.open_nursery() as nursery:
        with locked(profile) as mine:
            assert mine

            async def start() -> None:
                await trio.testing.wait_all_tasks_blocked(0.01)
                await nursery.start(serve_control, FakeFace(), profile)

            nursery.start_soon(start)
            async with attached(profile, nobody) as engine:
                assert not engine.here
        nursery.cancel_scope.cancel()


async def test_one_that_never_answers_is_told(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "ATTACH_TIMEOUT_S", 0.01)
    monkeypatch.setattr(attach, "ATTACH_RETRY_S", 0.001)
    with locked(profile) as mine:
        assert mine
        with pytest.raises(LocalTrouble, match="does not answer"):
            async with attached(profile, nobody):
                pass
