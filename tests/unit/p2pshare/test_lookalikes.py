from __future__ import annotations

import string
import unicodedata

from p2pshare.lookalikes import LOOKALIKES


def test_every_key_is_what_folding_leaves_or_it_would_never_match() -> None:
    for code in LOOKALIKES:
        char = chr(code)
        assert unicodedata.normalize("NFKD", char.casefold()) == char, f"U+{code:04X}"


def test_a_target_is_no_key_so_one_pass_is_enough() -> None:
    assert not {ord(char) for target in LOOKALIKES.values() for char in target} & set(LOOKALIKES)


def test_plain_letters_and_digits_stand_for_themselves_but_for_the_hard_ones() -> None:
    changed = {char for char in string.ascii_lowercase + string.digits if ord(char) in LOOKALIKES}
    assert changed == {"i", "1", "0"}
