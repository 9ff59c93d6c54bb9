from __future__ import annotations

import random

from scripts.bench.figures import MARKER_END, replaced
from scripts.bench.load_report import (
    MARKER,
    MIB,
    Report,
    expected_refusals,
    growth,
    readme_table,
    rows,
    terminal_table,
    troubles,
)
from scripts.bench.load_tally import Tally


def tally(**refused: int) -> Tally:
    made = Tally()
    for number in range(100):
        made.answered("ask_ticket", number / 1e3)
    made.answered("(late)", 9.0)
    for reason, count in refused.items():
        made.refused[f"ask_ticket: {reason}"] = count
    return made


def test_memory_that_only_breathes_is_flat() -> None:
    rng = random.Random(1)
    samples = [300 * MIB + rng.randint(-2, 2) * MIB for _ in range(900)]
    samples[700] += 80 * MIB  # one peak
    assert growth(samples).flat


def test_memory_that_grows_slowly_all_the_time_is_not_flat() -> None:
    samples = [300 * MIB + second * MIB / 30 for second in range(900)]
    found = growth(samples)
    assert not found.flat
    assert 15 * MIB < found.bytes_at_last - found.bytes_at_first < 25 * MIB
    assert "GROWING" in str(found)


def test_memory_that_grows_with_what_people_offer_is_flat() -> None:
    samples = [300 * MIB + second * MIB / 30 for second in range(900)]
    assert growth(samples, more_offers=300_000).flat
    assert not growth(samples, more_offers=30_000).flat


def test_growth_while_the_program_warms_up_does_not_count() -> None:
    assert growth([100 * MIB + min(second, 250) * MIB for second in range(900)]).flat


def test_a_row_says_how_many_how_fast_and_at_what_cost() -> None:
    [row] = rows("live", tally(), seconds=10, cpu_s=0.5)
    assert (row.what, row.count, row.a_second, row.cpu_ms) == ("ask ticket", 100, 10.0, 5.0)
    assert 48 < row.p50_ms < 51
    assert row.longest_ms == 99.0


def test_only_what_honest_clients_should_never_see_is_a_trouble() -> None:
    seen = tally(OFFLINE=3, UNREACHABLE=2, TOO_MUCH=1)
    seen.ended["TOO_SLOW"] = 4
    assert troubles("live", seen) == [
        "live: 1 x refused, ask_ticket: TOO_MUCH",
        "live: 4 x disconnected, TOO_SLOW",
    ]
    assert expected_refusals([seen, seen]) == "ask_ticket: OFFLINE 6, ask_ticket: UNREACHABLE 4"


def test_both_tables_show_every_row_fact_and_trouble() -> None:
    report = Report("Measured.", tuple(rows("live", tally(), 10)), (("memory", "5 MiB"),), ("it broke",))
    for text in (terminal_table(report), readme_table(report)):
        assert all(
            part in text for part in ("Measured.", "ask ticket", "live", "memory", "5 MiB", "it broke")
        )
    guide = f"before\n{MARKER}\nold\n{MARKER_END}\nafter\n"
    assert "old" not in replaced(guide, readme_table(report), MARKER)
