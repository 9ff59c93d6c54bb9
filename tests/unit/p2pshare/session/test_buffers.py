from __future__ import annotations

from p2pshare.session.buffers import KEPT, WASTE_MAX, WORTH_KEEPING_BYTES, SpareBuffers

SIZE = WORTH_KEEPING_BYTES


def memory_of(view: memoryview) -> int:
    return id(view.obj)


def test_memory_comes_round_again_once_nobody_looks_at_it() -> None:
    spares = SpareBuffers()
    view = spares.take(SIZE)
    first = memory_of(view)
    del view
    smaller = spares.take(SIZE - 1)
    assert memory_of(smaller) == first
    assert len(smaller) == SIZE - 1


def test_memory_that_somebody_looks_at_is_left_alone() -> None:
    spares = SpareBuffers()
    first = spares.take(SIZE)
    first[:] = b"\1" * SIZE
    piece = first[10:20]
    del first
    second = spares.take(SIZE)
    second[:] = b"\2" * SIZE
    assert piece == b"\1" * 10


def test_a_little_never_keeps_much_memory_alive() -> None:
    spares = SpareBuffers()
    large = memory_of(spares.take(WASTE_MAX * SIZE))
    assert memory_of(spares.take(SIZE)) == large
    for little in (1, SIZE - 1):
        view = spares.take(little)
        assert isinstance(view.obj, bytearray) and len(view.obj) <= WASTE_MAX * little


def test_no_more_than_a_few_are_kept_and_small_ones_never() -> None:
    spares = SpareBuffers()
    views = [spares.take(SIZE) for _ in range(KEPT + 3)]
    seen = {memory_of(view) for view in views}
    assert len(seen) == KEPT + 3
    views.clear()
    again = [spares.take(SIZE) for _ in range(KEPT)]
    assert {memory_of(view) for view in again} <= seen
    small = SpareBuffers()
    small.take(SIZE - 1)
    assert small._spares == ()


def test_released_memory_is_forgotten() -> None:
    spares = SpareBuffers()
    spares.take(SIZE)
    spares.release()
    assert spares._spares == ()
