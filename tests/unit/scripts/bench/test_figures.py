from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scripts.bench.figures import (
    MARKER,
    MARKER_END,
    OURS,
    Figures,
    Pairing,
    Spread,
    readme_table,
    replaced,
    row,
    rows,
    spread,
    terminal_table,
)
from scripts.bench.programs.program import Group, Run

TOP = Path(__file__).parents[4]


def runs(*seconds: float) -> tuple[Run, ...]:
    return tuple(Run(each, 0.5, 1.0) for each in seconds)


def pairing(program: str, group: Group, ours: tuple[Run, ...], theirs: tuple[Run, ...]) -> Pairing:
    return Pairing(program, group, f"{program} 1.0", ours, theirs)


def figures(*pairings: Pairing, missing: tuple[str, ...] = ()) -> Figures:
    return Figures("2026-11-22", "2 cores", 512, pairings, missing)


def test_a_spread_is_minimum_median_and_maximum() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert spread([4.0, 1.0]) == Spread(1.0, 2.5, 4.0)


def test_a_ratio_compares_neighbours_and_not_the_extremes_of_all_runs() -> None:
    """The machine became half as fast in between, for both: ours is twice as fast in every pair."""
    assert row("other", runs(2.0, 4.0), 512, runs(1.0, 2.0)).times_faster == Spread(2.0, 2.0, 2.0)


def test_speeds_are_megabytes_a_second_and_processor_time_is_for_a_gibibyte() -> None:
    shown = row("other", runs(1.0, 2.0, 4.0), 512)
    assert shown.mb_per_s == Spread(134.217728, 268.435456, 536.870912)
    assert (shown.sender_cpu_s_per_gib, shown.receiver_cpu_s_per_gib) == (1.0, 2.0)


def test_runs_that_have_no_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        row("other", runs(1.0, 2.0), 512, runs(1.0))


def test_ours_stands_first_and_the_others_by_group_and_speed() -> None:
    shown = rows(
        figures(
            pairing("plain", Group.PLAIN, runs(1.0), runs(0.5)),
            pairing("slow", Group.VERIFIED, runs(1.0), runs(3.0)),
            pairing("quick", Group.VERIFIED, runs(2.0), runs(2.0)),
        )
    )
    assert {group: [each.program for each in found] for group, found in shown.items()} == {
        Group.VERIFIED: [OURS, "quick", "slow"],
        Group.PLAIN: ["plain"],
    }
    assert shown[Group.VERIFIED][0].mb_per_s == row(OURS, runs(1.0, 1.0, 2.0), 512).mb_per_s


def test_the_table_for_the_terminal_says_what_was_left_out() -> None:
    table = terminal_table(figures(missing=("croc was left out.",)))
    assert table.splitlines()[-1] == "croc was left out."


def test_the_table_of_the_readme_has_date_machine_ratio_and_versions() -> None:
    table = readme_table(figures(pairing("quick", Group.VERIFIED, runs(1.0), runs(2.5))))
    assert "0.5 GiB" in table and "2026-11-22; 2 cores" in table
    assert "| quick | 215 215 215 | 1.00 + 2.00 | 2.50 2.50 2.50 |" in table
    assert table.endswith("(quick 1.0.)")


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{MARKER}\nold\n{MARKER_END}\nafter\n{MARKER_END}\n"
    new = f"before\n{MARKER}\nnew\n{MARKER_END}\nafter\n{MARKER_END}\n"
    assert replaced(text, "new") == new
    assert replaced(new, "new") == new


def test_a_text_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="speeds"):
        replaced(f"before\n{MARKER}\nold", "new")


def test_figures_survive_being_kept_in_a_file() -> None:
    kept = figures(pairing("quick", Group.ENCRYPTED, runs(1.0), runs(2.5)), missing=("x",))
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Figures) == kept


def test_the_readme_shows_the_figures_that_are_kept() -> None:
    kept = msgspec.json.decode((TOP / "scripts/bench/figures.json").read_bytes(), type=Figures)
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    assert replaced(readme, readme_table(kept)) == readme
