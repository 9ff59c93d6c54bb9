from __future__ import annotations

from client.engine.disk_pace import SLOW_PAUSE_S, SLOW_S, DiskPace


def test_a_slow_access_means_threads_for_a_while() -> None:
    pace = DiskPace(quick=True)
    assert pace.is_quick(0.0)
    pace.took(SLOW_S / 2, 1.0)
    assert pace.is_quick(1.0)
    pace.took(2 * SLOW_S, 2.0)
    assert not pace.is_quick(2.0)
    pace.took(SLOW_S / 2, 3.0)  # by a thread: what was read may have lain in memory
    assert not pace.is_quick(3.0)
    assert pace.is_quick(2.0 + SLOW_PAUSE_S)


def test_of_an_unknown_disk_a_thread_finds_out() -> None:
    pace = DiskPace(quick=False)
    assert not pace.is_quick(1e9)
    pace.took(2 * SLOW_S, 1.0)
    assert not pace.is_quick(2.0)
    pace = DiskPace(quick=False)
    pace.took(SLOW_S / 2, 1.0)
    assert pace.is_quick(1.0)
