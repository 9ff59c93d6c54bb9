"""Vectors of single messages: one of each kind as it should be, and what breaks a declaration."""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare import limits
from p2pshare.errors import CloseCode
from p2pshare.wire import index, peer
from p2pshare.wire.schema import REGISTRY, dump, encode, pack
from tests.vector_file import Vector, notation, vector
from tests.wire_values import example

REQUEST, KEY = 1, bytes(range(32))


def vectors() -> Iterator[Vector]:
    yield from examples()
    yield from newer_and_older()
    yield from failures()


def examples() -> Iterator[Vector]:
    for kind, message_class in sorted(REGISTRY.items()):
        message = example(message_class)
        values = zip(message.FIELDS, dump(message), strict=True)
        yield vector(
            f"message_{message_class.NAME}",
            "success",
            message_class.__doc__ or "",
            [
                ("what", "message"),
                ("name", message_class.NAME),
                ("kind", kind),
                *((f"field {field.name}", notation(value)) for field, value in values),
            ],
            encode(message),
        )


def newer_and_older() -> Iterator[Vector]:
    query = "blue monday"
    head = [("what", "message"), ("name", "search"), ("kind", index.Search.KIND)]
    fields = [("field request", notation(REQUEST)), ("field query", notation(query))]
    comment = "Fields that have a default may be left out at the end."
    yield vector("message_left_out", "success", comment, [*head, *fields], pack([52, REQUEST, query]))
    whole = [52, *dump(index.Search(request=REQUEST, query=query)), "from the future", [1, 2]]
    comment = "Elements behind the last field that is known come from a newer version and mean nothing here."
    yield vector("message_with_more", "success", comment, [*head, *fields], pack(whole))


def failures() -> Iterator[Vector]:
    search, ask, nick = index.Search.KIND, index.AskTicket.KIND, index.Register.KIND
    open_file, knock = peer.OpenFile.KIND, peer.Knock.KIND
    register = pack([nick, REQUEST, "anna"])
    cases: list[tuple[str, str, bytes]] = [
        ("too_few_fields", "A field without a default is missing.", pack([search, REQUEST])),
        ("bool_for_int", "True is not 1.", pack([nick, True, "anna"])),
        ("float_for_int", "1.0 is not 1.", pack([nick, 1.0, "anna"])),
        ("nil", "Only a field that says so may be nil.", pack([nick, REQUEST, None])),
        ("bytes_for_str", "A byte string is no text.", pack([nick, REQUEST, b"anna"])),
        ("request_zero", "Request numbers begin at 1.", pack([nick, 0, "anna"])),
        ("request_too_large", "A request number has 32 bits.", pack([nick, 1 << 32, "anna"])),
        ("negative", "An offer number is not negative.", pack([open_file, REQUEST, None, -1])),
        ("key_too_short", "A key has 32 bytes.", pack([ask, REQUEST, KEY[:-1]])),
        ("key_too_long", "A key has 32 bytes.", pack([ask, REQUEST, KEY + b"x"])),
        (
            "text_too_long",
            f"A nick has at most {limits.NICK_BYTES_MAX} bytes in UTF-8, however few characters these are.",
            pack([nick, REQUEST, "é" * (limits.NICK_BYTES_MAX // 2) + "e"]),
        ),
        ("text_not_utf8", "A text is UTF-8.", register.replace(b"anna", b"an\xff\xfe")),
        ("surrogate", "A surrogate is no character.", register.replace(b"\xa4anna", b"\xa3\xed\xa0\x80")),
        ("array_too_long", "At most 8 kinds.", pack([search, REQUEST, "x", [1] * 9])),
        ("unknown_member", "There is no file kind 99.", pack([search, REQUEST, "x", [99]])),
        ("map", "Maps are never used.", pack([nick, REQUEST, {"anna": 1}])),
        ("extension", "Extension types are never used.", pack([nick, REQUEST, None])[:-1] + b"\xd4\x01\x00"),
        ("cut_short", "The last byte is missing.", register[:-1]),
        ("two_values", "A frame holds one value.", register + b"\x01"),
        ("size_lies", "The array says it has more elements.", b"\x9f" + register[1:]),
        (
            "ticket_too_long",
            f"A ticket has at most {limits.TICKET_BYTES} bytes.",
            pack([knock, REQUEST, bytes(limits.TICKET_BYTES + 1)]),
        ),
    ]
    for name, comment, body in cases:
        head = [("what", "message"), ("code", CloseCode.BAD_MESSAGE)]
        yield vector(f"message_failure_{name}", "message failure", comment, head, body)
