"""One target for each door that strangers' bytes come through. Each states in one sentence what must hold.

`test_targets.py` tries them quickly with every test run, `scripts/fuzz` for as long as one likes.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h11

from client.engine.control import CALLS
from client.engine.downloads.arriving import Arriving
from client.engine.downloads.opening import check_opened_untrusted
from client.engine.downloads.others import Recommended
from client.engine.downloads.source import Ask
from client.engine.playback.answers import Shown, answer_untrusted, find_token_untrusted
from client.engine.settings import Settings, load_settings, save_settings
from client.engine.shares.listing import position_untrusted
from index_server.config import load_config
from index_server.rules.targets import network_untrusted, target_untrusted
from index_server.search.entry import entry_untrusted
from index_server.search.query import parse_search_untrusted
from index_server.wishes.wishes import wanted_untrusted
from p2pshare import limits
from p2pshare.addresses import format_address, parse_address_untrusted, parse_host_untrusted
from p2pshare.errors import BadMessage, LocalTrouble, PeerFault, Refused
from p2pshare.hashing import (
    FileId,
    PieceHashes,
    check_hashes_untrusted,
    format_file_id,
    parse_file_id_untrusted,
    piece_size_for,
    whole_file_hashes,
)
from p2pshare.identity import (
    NodeId,
    format_node_id,
    import_identity_untrusted,
    parse_node_id_untrusted,
)
from p2pshare.links import format_link, parse_link_untrusted
from p2pshare.names import (
    display,
    fold,
    nick_problem,
    nick_skeleton,
    safe_leaf_name,
    search_words,
    split_path_untrusted,
)
from p2pshare.queue_tickets import joined_untrusted
from p2pshare.ranges import RangeSet
from p2pshare.receipts import read_receipt_untrusted
from p2pshare.session.events import Closed, HandshakeDone, MessageReceived
from p2pshare.session.handshake import NoiseXX
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.tickets import check_ticket_untrusted
from p2pshare.transport.discover import found_untrusted
from p2pshare.transport.local_calls import Lines
from p2pshare.wire.fields import Offer, Subject
from p2pshare.wire.index import Search
from p2pshare.wire.peer import Data, FileOpened, Others
from p2pshare.wire.schema import decode_untrusted, encode, load_untrusted, unpack_untrusted
from tests.recipes.basics import ASKER, NOW, SERVER, TARGET
from tests.session_pair import BOB, MALLORY, Pair, Stranger, drain, session, static_of
from tests.vector_file import load_vectors

HELD_BYTES_MAX = 2 * limits.RECORD_BYTES_MAX + limits.FRAME_BYTES_MAX  # of one connection, without payloads

Target = Callable[[bytes], None]


def text_of(data: bytes) -> str:
    """Any text that a program may be given: UTF-8, with lone surrogates where it is not."""
    return data.decode("utf-8", "surrogateescape")


# --- connections --------------------------------------------------------------------------------------------


def fuzz_stream(data: bytes) -> None:
    """Whatever comes over the wire before a handshake, a session waits, or ends with one fault."""
    for party in Party:
        hear(session(party, BOB), data)


def fuzz_handshake(data: bytes) -> None:
    """Whatever stands in the place of handshake message 2 or 3, nobody is taken for somebody."""
    message = len(data[:65_535]).to_bytes(2, "big") + data
    pair = Pair()
    pair.bob.receive_data(drain(pair.alice), 0)
    hear(pair.alice, message)
    pair = Pair()
    pair.bob.receive_data(drain(pair.alice), 0)
    pair.alice.receive_data(drain(pair.bob), 0)
    hear(pair.bob, message)


def hear(victim: Session, data: bytes) -> None:
    try:
        events = victim.receive_data(data, 0)
    except PeerFault:
        assert victim.over
        assert victim.receive_data(data, 0) == []
    else:
        assert not any(isinstance(event, HandshakeDone) for event in events)


def fuzz_introduction(data: bytes) -> None:
    """Whatever introduction a stranger seals, a session believes no identity that did not sign."""
    pair = Pair()
    noise = stranger_noise()
    noise.read_untrusted(drain(pair.alice)[2:])
    message = noise.write(data[: limits.HANDSHAKE_BYTES_MAX - 200])
    try:
        events = pair.alice.receive_data(len(message).to_bytes(2, "big") + message, 0)
    except PeerFault:
        return
    raise AssertionError(f"believed: {events}")


def stranger_noise() -> NoiseXX:
    static = static_of(MALLORY).key
    return NoiseXX(dialing=False, static=static, ephemeral=b"e" * 32, prologue=limits.PROTOCOL_NAME)


def fuzz_frames(data: bytes) -> None:
    """Whatever plaintext a stranger seals, a session gives checked messages or one fault."""
    stranger = Stranger()
    if data[:1] >= b"\x80":
        stranger.come_in()
    cut = int.from_bytes(data[1:3], "big") if data[:1] and data[0] & 1 else len(data)
    rest = data[3:]
    texts = [rest[:cut], rest[cut:]]
    try:
        events = stranger.say(*(text for text in texts if text))
    except PeerFault:
        assert stranger.victim.over
        return
    for event in events:
        assert isinstance(event, MessageReceived | Closed)
        if isinstance(event, MessageReceived):
            encode(event.message)
    inbox = stranger.victim._inbox
    assert len(inbox._partial) + inbox._cutter.held_bytes <= HELD_BYTES_MAX
    assert stranger.victim.pending_bytes <= limits.OUTBOX_BYTES_MAX + limits.RECORD_BYTES_MAX


# --- messages -----------------------------------------------------------------------------------------------


def fuzz_decode(data: bytes) -> None:
    """A frame body is refused with BadMessage, unknown, or a message that encodes to an equal one."""
    try:
        message = decode_untrusted(data)
    except BadMessage:
        return
    if message is not None:
        assert decode_untrusted(encode(message)) == message


def fuzz_offer(data: bytes) -> None:
    """An offer is refused in words, or listed with a path that is relative and clean."""
    try:
        offer = load_untrusted(Offer, unpack_untrusted(data))
        entry = entry_untrusted(offer)
    except (BadMessage, Refused):
        return
    assert ".." not in split_path_untrusted(entry.path)
    assert not entry.path.startswith("/")


def fuzz_query(data: bytes) -> None:
    """A query is refused in words, or has words to search for, each folded; a wish asks the same or less."""
    text = data[: limits.QUERY_BYTES_MAX].decode("utf-8", "ignore")
    try:
        query = parse_search_untrusted(Search(request=1, query=text))
    except Refused as refusal:
        assert refusal.text
        return
    for spelt in query.spelt:
        assert 0 <= spelt.start < spelt.end <= len(text)
        assert search_words(text[spelt.start : spelt.end]) == list(spelt.words)
    try:
        assert wanted_untrusted(text) == query.wanted
    except Refused as refusal:
        assert refusal.text


def fuzz_listing_cursor(data: bytes) -> None:
    """A cursor is refused with BadMessage, or a position that leads to a cursor again."""
    try:
        position = position_untrusted(data[:64])
    except BadMessage:
        return
    position_untrusted(position.cursor())


def fuzz_bitmap(data: bytes) -> None:
    """A bitmap is refused with BadMessage, or a set that has this bitmap and no other."""
    count = int.from_bytes(data[:2], "big")
    try:
        pieces = RangeSet.from_bitmap_untrusted(data[2:], count)
    except BadMessage:
        return
    assert pieces.to_bitmap(count) == data[2:]
    assert pieces.count <= count


def fuzz_piece_hashes(data: bytes) -> None:
    """Piece hashes of a stranger never pass for those of a file that has others."""
    size, piece_size = int.from_bytes(data[:6], "big"), int.from_bytes(data[6:9], "big")
    try:
        check_hashes_untrusted(FileId(bytes(32)), size, piece_size, data[9:])
    except PeerFault:
        return
    raise AssertionError("hashes to zero")


def fuzz_ticket(data: bytes) -> None:
    """A ticket is refused with PeerFault, or is the very one that the server signed."""
    try:
        check_ticket_untrusted(
            data, asker=ASKER.node_id, target=TARGET.node_id, servers={SERVER.node_id}, unix_now=NOW
        )
    except PeerFault:
        return
    assert data == good_ticket()


def fuzz_queue_ticket(data: bytes) -> None:
    """A queue ticket says nothing, or is the very one that the uploader signed."""
    good = good_queue_ticket()
    who = {"uploader": NodeId(good[:32]), "asker": NodeId(good[32:64])}
    joined = joined_untrusted(data, **who, unix_now=int.from_bytes(good[72:80], "big"))
    assert (joined is not None) == (data == good)


def fuzz_receipt(data: bytes) -> None:
    """Of all that has the shape of a receipt, both have signed the very one that they signed."""
    try:
        receipt = read_receipt_untrusted(data)
    except BadMessage:
        return
    assert receipt.to_bytes() == data
    assert receipt.signed_by_both() == (data == good_receipt())


@cache
def good_receipt() -> bytes:
    return next(each.data for each in load_vectors() if each.name == "receipt")


@cache
def good_queue_ticket() -> bytes:
    return next(each.data for each in load_vectors() if each.name == "queue_ticket")


@cache
def good_ticket() -> bytes:
    return next(each.data for each in load_vectors() if each.name == "ticket")


# --- what a source sends ------------------------------------------------------------------------------------


def fuzz_arriving(data: bytes) -> None:
    """Whatever parts a source sends, pieces come in order, and none is good that is not the piece."""
    file, hashes = small_file()
    arriving = Arriving(Ask(NodeId(bytes(32)), 0, 3), hashes)
    genuine = b""
    while data:
        piece, offset, size = data[0] >> 1, int.from_bytes(data[1:4], "big"), int.from_bytes(data[4:7], "big")
        honest, data = not data[0] & 1, data[7:]
        size = min(max(size, 1), limits.DATA_BYTES_MAX)
        start = piece * hashes.piece_size + offset
        payload = file[start : start + size].ljust(size, b"\0") if honest else bytes(size)
        now = arriving.piece
        try:
            whole = arriving.add_untrusted(
                Data(request=1, piece=piece, offset=offset % limits.PIECE_BYTES_MAX, size=size, more=True),
                memoryview(payload),
            )
        except PeerFault:
            continue
        genuine += payload
        if whole is not None:
            assert (whole.index, arriving.piece) == (now, now + 1)
            assert b"".join(map(bytes, whole.parts)) == genuine
            assert whole.good == (genuine == file[whole.offset : whole.offset + whole.size])
            genuine = b""


@cache
def small_file() -> tuple[bytes, PieceHashes]:
    """Two pieces, and a little."""
    content = random.Random(1).randbytes(2 * limits.PIECE_BYTES_MIN + 100)
    return content, whole_file_hashes(content)


def fuzz_opened(data: bytes) -> None:
    """What a source says of a file is refused, or is what can be true of the one that we look for."""
    try:
        opened = decode_untrusted(data)
        if isinstance(opened, FileOpened):
            check_opened_untrusted(opened, FileId(bytes(32)), opened.size)
            assert (opened.file, opened.piece_size) == (bytes(32), piece_size_for(opened.size))
    except PeerFault:
        return


# --- texts --------------------------------------------------------------------------------------------------


def fuzz_recommended(data: bytes) -> None:
    """People whom a stranger names as holders of a file."""
    me, by, known = NodeId(bytes(32)), NodeId(bytes([1]) * 32), NodeId(bytes([2]) * 32)
    try:
        message = decode_untrusted(data)
    except BadMessage:
        return
    if isinstance(message, Others):
        named = Recommended(me).named_untrusted(by, message.some, [known])
        assert not {me, by, known} & {one.node for one in named}
        assert len({one.node for one in named}) == len(named)


def fuzz_link(data: bytes) -> None:
    """A link is refused with BadMessage, or means the same after being written again."""
    try:
        link = parse_link_untrusted(text_of(data))
    except BadMessage:
        return
    try:
        text = format_link(link)
    except LocalTrouble:  # longer in its canonical form than links may be
        return
    assert parse_link_untrusted(text) == link


def fuzz_address(data: bytes) -> None:
    """An address is refused with BadMessage, or means the same after being written again."""
    for listen in (False, True):
        try:
            address = parse_address_untrusted(text_of(data), listen=listen)
        except BadMessage:
            continue
        assert parse_address_untrusted(format_address(address), listen=listen) == address
    try:
        host = parse_host_untrusted(text_of(data))
    except BadMessage:
        return
    assert parse_host_untrusted(host) == host


def fuzz_rule_target(data: bytes) -> None:
    """What a moderator names is refused in words, or stored in a form that means the same again."""
    for subject in (Subject.ADDRESS, Subject.FILE, Subject.WORD):
        try:
            target = target_untrusted(subject, text_of(data))
        except Refused:
            continue
        assert target_untrusted(subject, target) == target
        if subject is Subject.ADDRESS:
            assert str(network_untrusted(target)) == target


def fuzz_ids(data: bytes) -> None:
    """The text of an id is refused with BadMessage, or is the one canonical text in some case of letters."""
    text = text_of(data)
    try:
        node = parse_node_id_untrusted(text)
        file = parse_file_id_untrusted(text)
    except BadMessage:
        return
    assert format_node_id(NodeId(node)) == format_file_id(file) == text.lower()


def fuzz_identity(data: bytes) -> None:
    """A backup of an identity is refused with BadMessage, or is one."""
    try:
        import_identity_untrusted(text_of(data), None)
    except BadMessage:
        return


def fuzz_names(data: bytes) -> None:
    """Whatever a stranger calls a file, we store a name that stays in its folder and print one clean line."""
    text = text_of(data)
    name = safe_leaf_name(text)
    assert safe_leaf_name(name) == name
    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\\0<>:"|?*')
    assert len(name.encode()) <= limits.NAME_BYTES_MAX
    assert display(text) == "".join(display(text).splitlines())
    assert fold(fold(text)) == fold(text)
    for part in tried(split_path_untrusted, text):
        assert part not in ("", ".", "..")
        assert "/" not in part


def tried(split: Callable[[str], tuple[str, ...]], text: str) -> tuple[str, ...]:
    try:
        return split(text)
    except BadMessage:
        return ()


def fuzz_nick(data: bytes) -> None:
    """A nick has a problem that can be said, or a skeleton that its spellings share."""
    nick = text_of(data)
    if nick_problem(nick) is None:
        assert nick_skeleton(nick) == nick_skeleton(nick.upper().lower())
        assert limits.NICK_CHARS_MIN <= len(nick) <= limits.NICK_CHARS_MAX


# --- files and other programs ------------------------------------------------------------------------


@cache
def scratch() -> Path:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fuzz_settings(data: bytes) -> None:
    """A settings file is refused in words, or gives settings that can be saved and read again."""
    path = scratch() / "settings.toml"
    path.write_bytes(data)
    try:
        settings = load_settings(path)
    except LocalTrouble as trouble:
        assert str(path) in str(trouble)
        return
    assert isinstance(settings, Settings)
    save_settings(path, settings)
    assert load_settings(path) == settings


def fuzz_server_config(data: bytes) -> None:
    """The settings of a server are refused in words, or understood."""
    path = scratch() / "index.toml"
    path.write_bytes(data)
    try:
        load_config(path, {}, {})
    except LocalTrouble as trouble:
        assert str(trouble)


def fuzz_control(data: bytes) -> None:
    """A line at the local socket is refused with BadMessage, or is a call whose arguments fit."""
    try:
        call = run_at_once(Lines(_Received(data)).read_untrusted(limits.MIB))
        for method in CALLS.methods.values():
            method.arguments_untrusted(call.get("arguments"))
    except BadMessage:
        return


class _Received:
    """A stream that has given all it had."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data, self._data = self._data, b""
        return data


def run_at_once(coroutine: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value
    raise AssertionError("it waits")


def fuzz_announcement(data: bytes) -> None:
    """An announcement on the local network is refused with BadMessage, or names somebody and where."""
    parts = data.split(b"\n")
    properties = {key: value for key, _, value in (part.partition(b"=") for part in parts[1:])}
    hosts = [part for part in parts[0].decode("utf-8", "replace").split(",") if part]
    try:
        found = found_untrusted({**properties}, hosts, 4747, lambda host: True)
    except BadMessage:
        return
    assert found.addresses
    assert display(found.name) == found.name


def fuzz_player(data: bytes) -> None:
    """What a player says over HTTP is refused, or asks for parts of the file that exist."""
    http = h11.Connection(h11.SERVER)
    http.receive_data(data)
    try:
        request = http.next_event()
    except h11.RemoteProtocolError:
        return
    if not isinstance(request, h11.Request):
        return
    find_token_untrusted(request, frozenset({"127.0.0.1:4000"}))
    shown = Shown("Blue Train.mp3", 1_000, FileId(bytes(limits.KEY_BYTES)))
    answer = answer_untrusted(request, shown)
    spans = [part for part in answer.body if not isinstance(part, bytes)]
    assert all(0 <= span.first < span.end <= shown.size for span in spans)
    assert sum(span.size for span in spans) <= shown.size
    http.send(h11.Response(status_code=answer.status, headers=list(answer.headers)))


def _every() -> Iterator[tuple[str, Target]]:
    for name, value in globals().items():
        if name.startswith("fuzz_"):
            yield name.removeprefix("fuzz_"), value


TARGETS: dict[str, Target] = dict(_every())
