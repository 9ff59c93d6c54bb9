"""Whatever a Range header says, the answer is a part of the file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from client.engine.downloads.source import Ask
from client.engine.playback.byte_ranges import parse_range_untrusted
from p2pshare.identity import NodeId
from tests.property.test_plan import PIECES, SOURCES, PlanMachine

sizes = st.integers(0, 2_000)
ends = st.none() | st.integers(0, 3_000)
likely = st.lists(
    st.tuples(ends, ends).map(lambda pair: "-".join("" if end is None else str(end) for end in pair)),
    max_size=20,
).map(lambda ranges: "bytes=" + ",".join(ranges))


@given(st.text(max_size=600) | st.text("bytes=0123456789-, ") | likely, sizes)
def test_spans_are_in_the_file_in_order_and_apart(text: str, size: int) -> None:
    spans = parse_range_untrusted(text, size)
    position = -1
    for span in spans or ():
        assert position < span.first < span.end <= size
        position = span.end


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=16),
    st.integers(1, 250),
)
def test_exactly_the_bytes_asked_for_are_given(pairs: list[tuple[int, int]], size: int) -> None:
    pairs = [(min(pair), max(pair)) for pair in pairs]
    spans = parse_range_untrusted("bytes=" + ",".join(f"{first}-{last}" for first, last in pairs), size)
    assert spans is not None
    wanted = {byte for first, last in pairs for byte in range(first, min(last + 1, size))}
    assert {byte for span in spans for byte in range(span.first, span.end)} == wanted


class PlayedPlanMachine(PlanMachine):
    """The same plan while somebody plays the file, and with sources that rest for more urgent downloads."""

    def __init__(self) -> None:
        super().__init__()
        self.preferred: list[int] = []
        self.resting: set[NodeId] = set()

    @rule(pieces=st.lists(st.integers(0, PIECES - 1), unique=True))
    def prefer(self, pieces: list[int]) -> None:
        self.preferred = pieces
        self.plan.prefer(pieces)

    @rule(sources=st.sets(st.sampled_from(SOURCES)))
    def rest(self, sources: set[NodeId]) -> None:
        self.resting = sources
        self.plan.rest(sources)

    @rule()
    def assign(self) -> None:
        for ask in self.plan.assign(self.now):
            self.check_and_note(ask)

    def check_and_note(self, ask: Ask) -> None:
        pieces = set(range(ask.first, ask.end))
        if ask.preview:
            assert ask.source not in self.ready, "a preview of somebody who gave us a slot"
            assert ask.count == 1 and pieces <= set(self.preferred)
            self.ready.add(ask.source)  # for this one
            super().check_and_note(ask)
            self.ready.remove(ask.source)
        else:
            assert ask.source not in self.resting or pieces <= set(self.preferred)
            super().check_and_note(ask)

    def teardown(self) -> None:
        self.plan.rest(())
        super().teardown()


TestPlayedPlan = PlayedPlanMachine.TestCase
TestPlayedPlan.settings = settings(stateful_step_count=50)
