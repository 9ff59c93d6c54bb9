from __future__ import annotations

import pytest

from scripts.bench.figures import Spread
from scripts.bench.search_figures import (
    Cell,
    Comparison,
    cell,
    milliseconds,
    ratio,
    readme_table,
    terminal_table,
    times_as_long,
)

OURS = Cell((1.0, 2.0, 4.0), (10.0, 20.0, 40.0))
THEIRS = Cell((3.0, 4.0, 4.0), (5.0, 10.0, 20.0))


def test_a_cell_has_both_percentiles_of_each_round() -> None:
    assert cell([[0.001] * 99 + [0.5], [0.002]]) == Cell((1.0, 2.0), (1.0, 2.0))


def test_one_measurement_a_round_has_no_percentiles() -> None:
    assert cell([[0.25], [0.5]]) == Cell((250.0, 500.0))


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratio(THEIRS.p50_ms, OURS.p50_ms) == Spread(1.0, 2.0, 3.0)


def test_rounds_without_a_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratio((1.0,), (1.0, 2.0))


def test_numbers_are_shown_with_the_digits_that_count() -> None:
    assert milliseconds(Cell((0.1234,), (12.34,))) == "0.12 / 12.3"
    assert milliseconds(Cell((1234.4,))) == "1,234"
    assert times_as_long(THEIRS, OURS) == "1.00 2.00 3.00 / 0.50"


def test_both_tables_show_every_program_task_and_fact() -> None:
    comparison = Comparison(
        "Title.",
        ("p2pshare", "other"),
        {"rare": (OURS, THEIRS)},
        {"memory": ("1", "2")},
        ("third was left out.",),
    )
    for text in (terminal_table(comparison), readme_table(comparison)):
        assert all(part in text for part in ("Title.", "other", "rare", "memory", "third was left out."))
        assert "1.00 2.00 3.00 / 0.50" in text
