"""What must hold for every input to the basics, found by Hypothesis."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.addresses import Address, format_address, parse_address_untrusted
from p2pshare.errors import BadMessage, PeerFault
from p2pshare.hashing import (
    FileHasher,
    FileId,
    check_hashes_untrusted,
    format_file_id,
    hash_piece,
    parse_file_id_untrusted,
    piece_count,
    piece_span,
)
from p2pshare.identity import Identity, NodeId, import_identity_untrusted
from p2pshare.limits import NAME_BYTES_MAX
from p2pshare.links import FileLink, Invite, format_link, parse_link_untrusted
from p2pshare.names import (
    display,
    fold,
    has_control_characters,
    nick_problem,
    nick_skeleton,
    safe_leaf_name,
    search_words,
    split_path_untrusted,
)
from p2pshare.ranges import RangeSet
from p2pshare.tickets import check_ticket_untrusted, issue_ticket

TEXT = st.text(st.characters(), max_size=60)  # lone surrogates too: file names can hold them
PIECES_OF_TROUBLE = st.lists(
    st.sampled_from(
        [
            "con",
            "NUL",
            ".",
            " ",
            "/",
            "\\",
            "..",
            "é",
            "e\u0301",
            "東",
            ".tar",
            ".gz",
            "a" * 100,
            "\u202e",
            "\u3099",
            "か",
        ]
    )
).map("".join)
ANY_TEXT = TEXT | PIECES_OF_TROUBLE
HASHES = st.binary(min_size=32, max_size=32)


# --- names


@given(ANY_TEXT)
def test_a_safe_name_is_safe_on_windows_macos_and_linux(name: str) -> None:
    safe = safe_leaf_name(name)
    assert safe not in ("", ".", "..")
    assert len(safe.encode("utf-8")) <= NAME_BYTES_MAX
    assert not set(safe) & set('<>:"/\\|?*')
    assert not has_control_characters(safe)
    assert safe == display(safe)
    assert safe[-1] not in ". " and safe[0] not in ". "
    stem = safe.split(".")[0].strip().upper()
    assert stem not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}
    assert safe == unicodedata.normalize("NFC", safe)
    assert safe_leaf_name(safe) == safe
    assert split_path_untrusted(safe) == (safe,)


@given(ANY_TEXT)
def test_display_is_one_printable_line_and_settles(text: str) -> None:
    shown = display(text)
    assert not has_control_characters(shown)
    assert len(shown.splitlines()) <= 1
    assert display(shown) == shown
    shown.encode()


@given(ANY_TEXT)
def test_a_path_is_split_or_refused(path: str) -> None:
    try:
        parts = split_path_untrusted(path)
    except BadMessage:
        return
    assert "/".join(parts) == path
    assert not {"", ".", ".."} & set(parts)


@given(ANY_TEXT)
def test_folding_twice_is_folding_once(text: str) -> None:
    words = search_words(text)
    assert search_words(" ".join(words)) == words
    assert fold(text).split() == words


@given(ANY_TEXT, ANY_TEXT)
def test_words_do_not_depend_on_what_stands_beyond_a_space(left: str, right: str) -> None:
    assert search_words(f"{left} {right}") == search_words(left) + search_words(right)


@given(ANY_TEXT)
def test_folding_does_not_see_case_or_form(text: str) -> None:
    assert fold(text) == fold(unicodedata.normalize("NFD", text)) == fold(text.casefold())


@given(st.text("東京カガ\u3099のん一", min_size=1, max_size=8), st.text("東京カガ\u3099のん一a ", max_size=8))
def test_a_part_of_a_text_without_spaces_is_found_as_a_phrase(part: str, around: str) -> None:
    if unicodedata.category(part[0])[0] != "M" and not (around and unicodedata.category(around[0])[0] == "M"):
        assert f" {fold(part)} " in f" {fold(around + part + around)} "


@given(ANY_TEXT)
def test_any_nick_gets_a_verdict_and_a_steady_skeleton(nick: str) -> None:
    problem = nick_problem(nick)
    assert problem is None or (problem.endswith(".") and problem == display(problem))
    if problem is None:
        skeleton = nick_skeleton(nick)
        assert skeleton
        assert nick_skeleton(nick.casefold()) == skeleton
        assert nick_skeleton(unicodedata.normalize("NFD", nick)) == skeleton
        nick.encode()


# --- ranges


CHANGES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40)).map(
        lambda change: (change[0], min(change[1:]), max(change[1:]))
    )
)


@given(CHANGES, st.integers(0, 42), st.integers(0, 42))
def test_a_range_set_is_a_set(changes: list[tuple[bool, int, int]], start: int, stop: int) -> None:
    ranges, numbers = RangeSet(), set[int]()
    for adding, first, end in changes:
        if adding:
            ranges.add(first, end)
            numbers |= set(range(first, end))
        else:
            ranges.remove(first, end)
            numbers -= set(range(first, end))
    assert [number for each in ranges for number in each] == sorted(numbers)
    assert all(each for each in ranges)
    assert ranges.count == len(numbers)
    assert bool(ranges) == bool(numbers)
    assert all((number in ranges) == (number in numbers) for number in range(-1, 43))
    window = set(range(start, stop))
    assert [number for gap in ranges.gaps(start, stop) for number in gap] == sorted(window - numbers)
    assert all(gap for gap in ranges.gaps(start, stop))
    # Equal contents are equal sets: ranges that touch were joined.
    assert ranges == RangeSet(range(number, number + 1) for number in numbers)
    assert RangeSet.from_bitmap_untrusted(ranges.to_bitmap(41), 41) == ranges


@given(st.binary(max_size=6), st.integers(0, 50))
def test_a_bitmap_is_read_or_refused(data: bytes, count: int) -> None:
    try:
        ranges = RangeSet.from_bitmap_untrusted(data, count)
    except BadMessage:
        return
    assert ranges.to_bitmap(count) == data


# --- hashing


@given(st.binary(max_size=300_000), st.lists(st.integers(0, 100_000), max_size=8))
@settings(deadline=None, max_examples=30)
def test_chunks_of_any_size_lead_to_the_same_hashes(data: bytes, cuts: list[int]) -> None:
    hasher = FileHasher(len(data))
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in zip([0, *ends], ends, strict=False):
        hasher.update(data[start:end])
    hashes = hasher.finish()
    spans = [
        piece_span(index, len(data), hashes.piece_size)
        for index in range(piece_count(len(data), hashes.piece_size))
    ]
    assert b"".join(hash_piece(data[offset : offset + length]) for offset, length in spans) == hashes.hashes
    check_hashes_untrusted(hashes.file_id, len(data), hashes.piece_size, hashes.hashes)


@given(HASHES, st.integers(), st.integers(), st.binary(max_size=200))
def test_invented_hashes_never_pass(file: bytes, size: int, piece_size: int, hashes: bytes) -> None:
    try:
        check_hashes_untrusted(FileId(file), size, piece_size, hashes)
    except PeerFault:
        return
    raise AssertionError("random hashes were believed")


# --- texts of strangers: ids, addresses, links, identities, tickets


@given(HASHES)
def test_ids_survive_their_text(data: bytes) -> None:
    assert parse_file_id_untrusted(format_file_id(FileId(data))) == data


@given(ANY_TEXT | st.text("abcdefghijklmnopqrstuvwxyz234567=", min_size=52, max_size=52))
def test_an_id_is_canonical_or_refused(text: str) -> None:
    try:
        assert format_file_id(parse_file_id_untrusted(text)) == text.lower()
    except BadMessage:
        return


LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.ip_addresses().map(str) | st.lists(LABELS, min_size=1, max_size=4).map(".".join)


@given(HOSTS, st.integers(1, 65535))
def test_addresses_survive_their_text(host: str, port: int) -> None:
    read = parse_address_untrusted(format_address(Address(host, port)))
    assert read.port == port
    assert parse_address_untrusted(str(read)) == read
    assert read.host == host or host.startswith("::ffff:")


@given(ANY_TEXT | st.text("0123456789abcdefx.:[]%-_", max_size=40))
def test_an_address_is_canonical_or_refused(text: str) -> None:
    try:
        address = parse_address_untrusted(text)
    except BadMessage:
        return
    assert parse_address_untrusted(format_address(address)) == address


ADDRESSES = st.builds(Address, HOSTS, st.integers(1, 65535)).map(lambda it: parse_address_untrusted(str(it)))
NAMES = ANY_TEXT.map(safe_leaf_name)
LINKS = st.builds(FileLink, HASHES.map(FileId), NAMES, st.integers(0, 1 << 40)) | st.builds(
    Invite, HASHES.map(NodeId), st.lists(ADDRESSES, min_size=1, max_size=8).map(tuple), NAMES | st.just("")
)


@given(LINKS)
def test_links_survive_their_text(link: FileLink | Invite) -> None:
    assert parse_link_untrusted(format_link(link)) == link


@given(ANY_TEXT | st.text("magnet:?xurndlp2sh=&%01aZ", max_size=80), LINKS, st.integers(0, 200))
def test_a_link_is_read_or_refused(text: str, link: FileLink | Invite, place: int) -> None:
    good = format_link(link)
    for broken in (text, good[:place] + text + good[place:], good[:place], good[place:]):
        try:
            parse_link_untrusted(broken)
        except BadMessage:
            continue


@given(ANY_TEXT | st.from_regex(r"p2pshare-identity:1:(plain|locked):[a-z2-7=é]*"))
def test_an_identity_is_refused_with_the_one_error(text: str) -> None:
    try:
        import_identity_untrusted(text, None)
    except BadMessage:
        return
    raise AssertionError("an invented identity passed its check")


SERVER, ALICE, BOB = (Identity.from_seed(bytes([seed]) * 32) for seed in range(3))
TICKET = issue_ticket(SERVER, asker=ALICE.node_id, target=BOB.node_id, nonce=bytes(16), unix_now=1000)


@given(
    st.binary(max_size=200)
    | st.binary(min_size=184, max_size=184)
    | st.tuples(st.integers(0, 183), st.binary(min_size=1, max_size=4)).map(
        lambda cut: TICKET[: cut[0]] + cut[1] + TICKET[cut[0] + len(cut[1]) :]
    )
)
def test_a_ticket_is_the_one_issued_or_refused(data: bytes) -> None:
    try:
        check_ticket_untrusted(
            data, asker=ALICE.node_id, target=BOB.node_id, servers={SERVER.node_id}, unix_now=1000
        )
    except PeerFault:
        return
    assert data == TICKET
