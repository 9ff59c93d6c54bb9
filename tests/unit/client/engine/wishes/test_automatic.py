from __future__ import annotations

from dataclasses import replace

import pytest

from client.engine.declared import Unfit, changed
from client.engine.settings import Settings, WishRules
from client.engine.wishes.automatic import DAY_S, objection, room
from p2pshare.limits import MIB
from tests.fake_face import result_view

SONG = result_view(1, "Blue.mp3", size=10 * MIB)


def test_what_is_too_large_or_of_another_kind_or_here_already_is_left_to_the_person() -> None:
    assert objection(SONG, WishRules()) == ""
    assert "10 MiB" not in objection(SONG, WishRules(size_max=10))
    assert "9 MiB" in objection(SONG, WishRules(size_max=9))
    assert objection(SONG, WishRules(size_max=0)) == ""
    assert "video" in objection(SONG, WishRules(kinds=("video",)))
    assert objection(SONG, WishRules(kinds=("video", "audio"))) == ""
    assert "already" in objection(replace(SONG, have=True), WishRules())


def test_so_many_begin_within_a_day() -> None:
    rules = WishRules(per_day=3)
    assert room(rules, [], 1_000_000.0) == 3
    assert room(rules, [1_000_000.0 - DAY_S, 1_000_000.0 - DAY_S + 1, 999_999.0], 1_000_000.0) == 1
    assert room(rules, [999_999.0] * 5, 1_000_000.0) == 0


def test_a_kind_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(Unfit, match="songs"):
        changed(Settings(), {"wishes.kinds": ("audio", "songs")})
