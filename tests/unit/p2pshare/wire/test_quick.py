"""The quick way and the reference agree on every message."""

from __future__ import annotations

import random
from typing import Any

import pytest

from p2pshare.errors import BadMessage
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire.fields import Offer, Tags
from p2pshare.wire.index import Publish
from p2pshare.wire.quick import quick_loader
from p2pshare.wire.schema import REGISTRY, Struct, load_untrusted

STRANGE = (
    None,
    True,
    0,
    -1,
    1,
    7,
    2**63,
    1.0,
    "",
    "a",
    "\u00e9" * 40,
    "x" * 5_000,
    b"",
    bytes(16),
    bytes(32),
    [],
    [1],
)


def reference(struct: type[Struct], plain: list[Any]) -> Any:
    """Field by field; None if one is refused."""
    if len(plain) != len(struct.FIELDS):
        return None
    try:
        return {name: load(value) for (name, load), value in zip(struct.LOADS, plain, strict=True)}
    except BadMessage:
        return None


def quick(struct: type[Struct], plain: list[Any]) -> Any:
    load_untrusted_or_none(struct, plain)  # so that the loader is made
    taken = struct.QUICK(plain)
    return None if taken is None else taken.__dict__


def load_untrusted_or_none(struct: type[Struct], plain: list[Any]) -> Any:
    try:
        return load_untrusted(struct, plain)
    except BadMessage:
        return None


@pytest.mark.parametrize("struct", [*REGISTRY.values(), Offer, Tags], ids=lambda struct: struct.__name__)
def test_what_it_takes_is_what_the_reference_takes(struct: type[Struct]) -> None:
    rng = random.Random(struct.__name__)
    for _ in range(200):
        plain = [rng.choice(STRANGE) for _ in struct.FIELDS]
        taken = quick(struct, plain)
        assert taken is None or taken == reference(struct, plain)


def test_an_ordinary_offer_is_taken_and_a_wrong_one_is_left_to_the_reference() -> None:
    right = [1, "a/b.mp3", 5, bytes(32), 0, ["t", "a", "", 0, 1993, 0, 0, False, 0, 0], False]
    assert quick(Offer, right) == reference(Offer, right)
    assert quick(Offer, right)["tags"].year == 1993
    for place, wrong in ((0, True), (1, ""), (1, "x" * 2_000), (2, -1), (3, bytes(31)), (6, 0), (5, [1])):
        assert quick(Offer, [*right[:place], wrong, *right[place + 1 :]]) is None
    assert quick(Offer, right[:-1]) is None


def test_a_field_that_has_no_short_test_is_checked_by_its_own_function() -> None:
    class Made:
        pass

    loader = quick_loader(Made, [("one", object, lambda value: value + 1)], BadMessage, lambda _: [])
    assert loader([1]).one == 2


def test_an_array_of_structs_is_taken_whole_or_left_to_the_reference() -> None:
    right = [7, "a.mp3", 5, None, 0, ["", "", "", 0, 0, 0, 0, False, 0, 0], False]
    plain = [1, bytes(16), bytes(16), [], [right, right], False]
    assert quick(Publish, plain) == reference(Publish, plain)
    for wrong in (None, 7, "text", [7], [right, None], [right, right[1:]], [right] * (PUBLISH_BATCH + 1)):
        with pytest.raises(BadMessage):
            load_untrusted(Publish, [*plain[:4], wrong, False])
    newer = [*right, "a field of a newer version"]
    assert load_untrusted(Publish, [*plain[:4], [newer], False]).added[0].path == "a.mp3"
