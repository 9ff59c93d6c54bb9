#!/usr/bin/env python3
"""Writes the test vectors in tests/vectors from their recipes; `--check` fails if one has drifted.

They are checked in and never edited by hand: whoever writes another client tests it with them.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.recipes import basics, connections, messages, queue_tickets, receipts  # noqa: E402
from tests.vector_file import FOLDER, format_vector  # noqa: E402


def main() -> int:
    rooms = (messages, basics, connections, receipts, queue_tickets)
    recipes = chain.from_iterable(room.vectors() for room in rooms)
    fresh = {f"{each.name}.txt": format_vector(each) for each in recipes}
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    if "--check" in sys.argv[1:]:
        drifted = sorted(name for name in fresh.keys() | there.keys() if fresh.get(name) != there.get(name))
        for name in drifted:
            print(
                f"tests/vectors/{name} is not what its recipe makes. Run scripts/vectors.py and look at it."
            )
        return 1 if drifted else 0
    for name in there.keys() - fresh.keys():
        (FOLDER / name).unlink()
    for name, text in fresh.items():
        if there.get(name) != text:
            (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
