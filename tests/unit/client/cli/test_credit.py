from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from client.cli.credit import priority
from client.engine.status import CreditView, PersonCreditView, VouchedView

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal

ANNA = PersonCreditView("a" * 52, "anna", 10_000_000, 9_000_000, 80_000_000, 80_000_000, 4.0, 1.0, False)
BERT = PersonCreditView("b" * 52, "", 900_000_000, 0, 0, 0, 1.0, 2.53, True)


@pytest.fixture
def known(terminal: Terminal) -> Terminal:
    terminal.face.owed = (ANNA, BERT)
    terminal.face.vouched = (VouchedView("The Index", 120_000_000_000, 340, 5, 1),)
    return terminal


def test_nobody_yet(terminal: Terminal) -> None:
    assert terminal.type("credit").stdout == "You have not exchanged anything with anybody yet.\n"


def test_everybody_is_listed_with_what_was_signed_and_what_follows(known: Terminal) -> None:
    lines = known.type("credit").stdout.splitlines()
    assert lines[0].split("\t") == [
        "anna",
        "80.0 MB",
        "80.0 MB",
        "10.0 MB",
        "9.0 MB",
        "4.0 times",
        "as a stranger's",
    ]
    assert lines[1].split("\t") == [
        "b" * 12,
        "0 B",
        "0 B",
        "900 MB",
        "0 B",
        "do not sign",
        "2.5 times",
    ]
    assert lines[2] == (
        "On The Index, others have signed: You gave 120 GB to 340 people, and took 5 B from 1 person."
    )
    assert msgspec.convert(known.json("credit"), CreditView).people == (ANNA, BERT)


def test_one_person_is_told_in_sentences(known: Terminal) -> None:
    assert known.type("credit", "anna").stdout.splitlines() == [
        "anna gave you 80.0 MB; both signed for 80.0 MB.",
        "You gave them 10.0 MB; both signed for 9.0 MB.",
        "With you their waiting counts 4.0 times.",
        "With them yours counts as a stranger's, as far as your receipts say.",
        "On The Index, others have signed: They gave 120 GB to 340 people, and took 5 B from 1 person.",
    ]
    assert known.type("credit", "nobody").exit_code == 3


def test_status_tells_the_totals(known: Terminal) -> None:
    said = known.type("status").stdout
    assert "Signed by both sides: 9.0 MB given to 2 people, 80.0 MB taken from 2 people" in said


@pytest.mark.parametrize(("weight", "words"), [(1.0, "as a stranger's"), (1.3, "1.3 times")])
def test_priority_in_words(weight: float, words: str) -> None:
    assert priority(weight) == words
