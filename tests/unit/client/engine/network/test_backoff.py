from __future__ import annotations

from client.engine.network.backoff import MOST_S, STABLE_S, Backoff


def test_every_failure_doubles_the_wait_up_to_a_limit() -> None:
    backoff = Backoff()
    waits = [backoff.delay_s(0.0, chance=1.0) for _ in range(12)]
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == MOST_S


def test_a_connection_that_only_came_about_does_not_reset_the_wait() -> None:
    backoff = Backoff()
    waits = [backoff.delay_s(held_s=1.0, chance=1.0) for _ in range(5)]
    assert waits == sorted(waits) and waits[-1] > waits[0]


def test_a_connection_that_held_resets_the_wait() -> None:
    backoff = Backoff()
    for _ in range(8):
        backoff.delay_s(0.0, chance=1.0)
    assert backoff.delay_s(STABLE_S, chance=1.0) == 1.0


def test_chance_spreads_a_crowd_over_half_of_the_wait() -> None:
    assert Backoff().delay_s(0.0, chance=0.0) == 0.5
    assert Backoff().delay_s(0.0, chance=1.0) == 1.0


def test_what_the_other_side_asked_for_is_never_undercut() -> None:
    assert Backoff().delay_s(0.0, chance=0.0, told_s=60.0) >= 60.0
