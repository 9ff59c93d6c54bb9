from __future__ import annotations

import json

from scripts.bench.load_tally import Tally


def test_what_several_processes_saw_adds_up() -> None:
    total = Tally()
    for number in range(3):
        tally = Tally()
        tally.answered("search", 0.001 * (number + 1))
        tally.refused["ask_ticket: OFFLINE"] += 1
        tally.ended["GOING_AWAY"] += number
        tally.counts["left"] += 2
        total.merge(Tally.from_json(json.loads(json.dumps(tally.to_json()))))
    assert len(total.answers["search"]) == 3
    assert total.answers["search"].longest_s == 0.003
    assert (total.refused["ask_ticket: OFFLINE"], total.ended["GOING_AWAY"], total.counts["left"]) == (
        3,
        3,
        6,
    )
