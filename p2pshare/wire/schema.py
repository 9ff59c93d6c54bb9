"""Messages are declared once; from that one text come checking, encoding, decoding and protocol.md.

    class Search(Message, kind=46, name="search", frame_max=1 * KIB):
        '''Ask the index for files whose name holds every word of the query.'''

        request: RequestId = spec("Chosen by the asker; echoed in the answer.")
        query: Annotated[str, Size(1, 256)] = spec("Words separated by spaces.")
        limit: Annotated[int, Range(1, 100)] = spec("Most hits wanted.", default=50)

On the wire a message is the MessagePack array `[kind, field, ...]` in the order of declaration; a `Struct` is
the same without the kind. New fields only at the end and with a default, so both directions of version skew
decode.

Rule 1: the only exception out of a decoder is `BadMessage`.
Rule 2: limits are checked when encoding, too: what we would refuse, we cannot send (`Misuse`).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from enum import IntEnum
from operator import is_
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

import msgpack
import msgspec

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, Misuse
from p2pshare.wire.quick import Quick, quick_loader

Check = Callable[[Any], Any]
S = TypeVar("S", bound="Struct")
MISSING = dataclasses.MISSING
_ENCODE = msgspec.msgpack.Encoder().encode


@dataclasses.dataclass(frozen=True)
class Range:
    """Limits of an int, both included."""

    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class Size:
    """Limits of a length, both included: bytes of a str (in UTF-8) or of a bytes, items of a tuple."""

    low: int
    high: int


def spec(doc: str, *, default: Any = MISSING) -> Any:
    """A field of a message: its meaning in one sentence, and its default if it may be left out."""
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclasses.dataclass(frozen=True)
class Field:
    """One declared field, compiled: `load` checks a value from the wire, `dump` makes one for it."""

    name: str
    doc: str
    type_text: str
    limits_text: str
    default: Any
    load: Check
    dump: Check


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(spec,))
class Struct:
    """A group of fields inside a message; an array on the wire."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    REQUIRED: ClassVar[int] = 0
    LOADS: ClassVar[tuple[tuple[str, Check], ...]] = ()
    DUMPS: ClassVar[tuple[tuple[str, Check], ...]] = ()
    QUICK: ClassVar[Quick]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        hints = typing.get_type_hints(cls, include_extras=True)
        cls.FIELDS = tuple(_compile_field(f, hints[f.name]) for f in dataclasses.fields(cls))  # type: ignore[arg-type]
        cls.REQUIRED = sum(1 for f in cls.FIELDS if f.default is MISSING)
        if any(f.default is MISSING for f in cls.FIELDS[cls.REQUIRED :]):
            raise Misuse(f"{cls.__name__}: a field without a default stands behind one with a default.")
        cls.LOADS = tuple((f.name, f.load) for f in cls.FIELDS)
        cls.DUMPS = tuple((f.name, f.dump) for f in cls.FIELDS)


class Message(Struct):
    """What travels in one frame."""

    KIND: ClassVar[int] = -1
    NAME: ClassVar[str] = ""
    FRAME_MAX: ClassVar[int] = 0
    PAYLOAD: ClassVar[str | None] = None
    ANSWERS: ClassVar[tuple[type[Struct], ...]] = ()

    def __init_subclass__(
        cls,
        *,
        kind: int,
        name: str,
        frame_max: int = 1 * limits.KIB,
        payload: str | None = None,
        answers: tuple[type[Message], ...] = (),
        **kwargs: Any,
    ) -> None:
        """`frame_max` in bytes, checked before decoding; `payload` names the field that counts the raw bytes
        behind the frame; `answers` lists the requests that this message is an answer to."""
        super().__init_subclass__(**kwargs)
        if kind in REGISTRY or not 0 <= kind < 128:
            raise Misuse(f"Kind {kind} is taken or does not fit one byte.")
        if len(cls.FIELDS) > 14:
            raise Misuse(f"{name}: kind and fields do not fit an array of 15.")
        cls.KIND, cls.NAME, cls.FRAME_MAX = kind, name, frame_max
        cls.PAYLOAD, cls.ANSWERS = payload, answers
        REGISTRY[kind] = cls


REGISTRY: dict[int, type[Message]] = {}


# --- encoding and decoding ---------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The frame body of a message. Raises `Misuse` if a field breaks its declaration."""
    body = pack([message.KIND, *dump(message)])
    if len(body) > message.FRAME_MAX:
        raise Misuse(f"{message.NAME}: {len(body)} bytes, at most {message.FRAME_MAX} fit a frame.")
    return body


def decode_untrusted(body: bytes | bytearray | memoryview) -> Message | None:
    """The message in a frame body; None if its kind is unknown and odd. Raises `BadMessage` only."""
    kind = peek_kind_untrusted(body)
    message_class = REGISTRY.get(kind)
    if len(body) > frame_max_untrusted(kind):
        raise BadMessage(f"A frame of kind {kind} has {len(body)} bytes, too many.", CloseCode.BAD_FRAME)
    if message_class is None:
        return None
    plain = unpack_untrusted(body)
    if type(plain) is not list:
        raise BadMessage("A message is not an array.")
    return _load(message_class, plain[1:], message_class.NAME)


def peek_kind_untrusted(body: bytes | bytearray | memoryview) -> int:
    """The kind in the first two bytes of a frame body. Raises `BadMessage`."""
    # protocol.md: "The first byte is 0x90 plus the number of elements, the second is the kind."
    if len(body) < 2 or body[0] & 0xF0 != 0x90 or body[0] == 0x90 or body[1] > 0x7F:
        raise BadMessage("A frame does not begin with an array and a kind.", CloseCode.BAD_FRAME)
    return body[1]


def frame_max_untrusted(kind: int) -> int:
    """The most bytes a frame of this kind may have. Raises `BadMessage` on an unknown even kind."""
    known = REGISTRY.get(kind)
    if known is not None:
        return known.FRAME_MAX
    # protocol.md: "A receiver MUST skip a message of unknown odd kind, and close on an unknown even one"
    if kind % 2 == 0:
        raise BadMessage(f"Kind {kind} is not known here.", CloseCode.UNKNOWN_KIND)
    return limits.UNKNOWN_FRAME_BYTES_MAX


def dump(struct: Struct) -> list[Any]:
    """The fields as plain values, checked. Raises `Misuse`."""
    try:
        return [dump_value(getattr(struct, name)) for name, dump_value in struct.DUMPS]
    except BadMessage as error:
        raise Misuse(f"{type(struct).__name__}: {error.text}") from error


def pack(plain: Any) -> bytes:
    """MessagePack in its shortest form."""
    return _ENCODE(plain)


def packed(struct_class: type[S], plain: bytes) -> S:
    """A struct that was packed already, to be put into a message as it is.

    Nothing of it is checked, and none of its fields can be read: for what one's own tests hold right.
    """
    return typing.cast(S, msgspec.Raw(plain))


def unpack_untrusted(body: bytes | bytearray | memoryview) -> Any:
    """Plain values of one MessagePack value. Maps and extensions are refused outright. Raises
    `BadMessage`.
    """
    try:
        # strict_map_key is moot: no map gets through. Lengths inside cannot exceed the capped frame.
        return msgpack.unpackb(body, raw=False, use_list=True, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise BadMessage("A frame is not one well-formed MessagePack value.") from error


def load_untrusted(struct_class: type[S], plain: Any) -> S:
    """A struct from plain values. Raises `BadMessage` only."""
    if type(plain) is not list:
        raise BadMessage(f"{struct_class.__name__} is not an array.")
    return _load(struct_class, plain, struct_class.__name__)


def _load(struct_class: type[S], plain: list[Any], where: str) -> S:
    quick = struct_class.__dict__.get("QUICK") or _make_quick(struct_class)
    if (taken := quick(plain)) is not None:
        return taken  # type: ignore[no-any-return]
    if len(plain) < struct_class.REQUIRED:
        raise BadMessage(f"{where}: {len(plain)} fields, at least {struct_class.REQUIRED} are needed.")
    values: dict[str, Any] = {}
    name = ""
    try:
        # Extra elements come from a newer version.
        for (name, load), value in zip(struct_class.LOADS, plain, strict=False):
            values[name] = load(value)
    except BadMessage as error:
        raise BadMessage(f"{where}.{name}: {error.text}", error.code) from None
    # What __init__ of a frozen dataclass does, in a quarter of the time: a listing has hundreds of offers.
    struct = object.__new__(struct_class)
    struct.__dict__.update(values)
    return struct


def _make_quick(struct_class: type[Struct]) -> Quick:
    """Only when it is first needed: most messages are not, in most programs."""
    checks = [field.load for field in struct_class.FIELDS]
    fields = [(*pair, check) for pair, check in zip(_typed_fields(struct_class), checks, strict=True)]
    struct_class.QUICK = staticmethod(quick_loader(struct_class, fields, BadMessage, _typed_fields))
    return struct_class.QUICK


def _typed_fields(hint: Any) -> list[tuple[str, Any]]:
    if not (isinstance(hint, type) and issubclass(hint, Struct)):
        return []
    hints = typing.get_type_hints(hint, include_extras=True)
    return [(field.name, hints[field.name]) for field in hint.FIELDS]


# --- compiling a declaration -------------------------------------------------------------------------


def _compile_field(field: dataclasses.Field[Any], hint: Any) -> Field:
    load, dump_value, type_text, limits_text = _compile(hint)
    doc = field.metadata["doc"]
    return Field(field.name, doc, type_text, limits_text, field.default, load, dump_value)


def _compile(hint: Any) -> tuple[Check, Check, str, str]:
    """(load, dump, type in words, limits in words) of one annotation."""
    bounds: Range | Size | None = None
    if typing.get_origin(hint) is Annotated:
        hint, *extras = typing.get_args(hint)
        bounds = extras[-1]
    hint = getattr(hint, "__supertype__", hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, UnionType):
        return _compile_optional(hint)
    if origin is tuple:
        return _compile_tuple(typing.get_args(hint)[0], bounds)
    if hint is bool:
        check = _exact(bool)
        return check, check, "bool", ""
    if hint is int and isinstance(bounds, Range):
        check = _int_within(bounds)
        return check, check, "int", f"{bounds.low} to {bounds.high}"
    if hint is str and isinstance(bounds, Size):
        check = _within(str, bounds, _utf8_length)
        return check, check, "str", f"{_span(bounds)} bytes"
    if hint is bytes and isinstance(bounds, Size):
        check = _within(bytes, bounds, len)
        return check, check, "bytes", f"{_span(bounds)} bytes"
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _enum_member(hint), int, hint.__name__, ""
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _struct_loader(hint), _dump_or_packed, hint.__name__, ""
    raise Misuse(f"{hint!r} cannot be declared: give int a Range and str, bytes and tuples a Size.")


def _span(size: Size) -> str:
    return str(size.high) if size.low == size.high else f"{size.low} to {size.high}"


def _exact(wanted: type) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not wanted:  # so that True is not 1
            raise BadMessage(f"a {wanted.__name__} is wanted, not a {type(value).__name__}")
        return value

    return check


def _int_within(bounds: Range) -> Check:
    low, high = bounds.low, bounds.high

    def check(value: Any) -> Any:
        if type(value) is not int:
            raise BadMessage(f"an int is wanted, not a {type(value).__name__}")
        if not low <= value <= high:
            raise BadMessage(f"{value} is not within {low} to {high}")
        return value

    return check


def _within(wanted: type, bounds: Size, length_of: Callable[[Any], int]) -> Check:
    low, high = bounds.low, bounds.high

    def check(value: Any) -> Any:
        if type(value) is not wanted:
            raise BadMessage(f"a {wanted.__name__} is wanted, not a {type(value).__name__}")
        if not low <= (length := length_of(value)) <= high:
            raise BadMessage(f"{length} bytes are not within {low} to {high}")
        return value

    return check


def _utf8_length(text: str) -> int:
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise BadMessage("a surrogate cannot be sent") from None


def _enum_member(enum: type[IntEnum]) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not int:
            raise BadMessage(f"an int is wanted, not a {type(value).__name__}")
        try:
            return enum(value)
        except ValueError:
            raise BadMessage(f"{value} is no {enum.__name__}") from None

    return check


def _dump_or_packed(struct: Any) -> Any:
    return struct if type(struct) is msgspec.Raw else dump(struct)


def _struct_loader(struct_class: type[Struct]) -> Check:
    if struct_class.REQUIRED:
        return lambda plain: load_untrusted(struct_class, plain)
    nothing = struct_class()
    plain_nothing = dump(nothing)

    def load(plain: Any) -> Any:
        # Most offers say nothing of themselves. The very same objects are certainly of the same types.
        if type(plain) is list and len(plain) == len(plain_nothing) and all(map(is_, plain, plain_nothing)):
            return nothing
        return load_untrusted(struct_class, plain)

    return load


def _compile_optional(hint: Any) -> tuple[Check, Check, str, str]:
    inner = [arg for arg in typing.get_args(hint) if arg is not NoneType]
    if len(inner) != 1 or len(typing.get_args(hint)) != 2:
        raise Misuse(f"{hint!r}: only `T | None` can be declared.")
    load, dump_value, type_text, limits_text = _compile(inner[0])
    return (
        lambda value: None if value is None else load(value),
        lambda value: None if value is None else dump_value(value),
        f"{type_text} or nil",
        limits_text,
    )


def _compile_tuple(item: Any, bounds: Range | Size | None) -> tuple[Check, Check, str, str]:
    if not isinstance(bounds, Size):
        raise Misuse("A tuple needs a Size.")
    low, high = bounds.low, bounds.high
    load, dump_value, type_text, limits_text = _compile(item)

    def check_length(value: Any) -> None:
        if not low <= len(value) <= high:
            raise BadMessage(f"{len(value)} items are not within {low} to {high}")

    def load_items(value: Any) -> Any:
        if type(value) is not list:
            raise BadMessage(f"an array is wanted, not a {type(value).__name__}")
        check_length(value)
        return tuple([load(one) for one in value])

    def dump_items(value: Any) -> Any:
        check_length(value)
        return [dump_value(one) for one in value]

    each = f", each {limits_text}" if limits_text else ""
    return load_items, dump_items, f"array of {type_text}", f"{_span(bounds)} items{each}"
