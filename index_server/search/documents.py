"""What is kept of every document, packed: a million documents and their ten million copies fit 2 GiB. PURE.

A *document* is one file, whoever offers it: all offers with the same file id, or one offer alone while its
owner has not hashed it. A *copy* is one offer of a document. A *name* is a path, size, tags and text that
some of the copies share.

A document is a number, and stands at that place of a few lists. An object of Python's own costs ten times
what it holds, and the garbage collector walks over it. So the copies of a document are records of 16 bytes in
one bytearray, by account and offer, and names are plain tuples, which the collector leaves alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from pyroaring import BitMap

from index_server.search.entry import Entry, search_text
from p2pshare.errors import Misuse
from p2pshare.hashing import FileId

NAMED_BY = 16  # copies whose names and tags lead to a document, those of the oldest accounts; more is noise
NAMES_MAX = 256  # names kept of one document: their numbers fit a byte. Copies beyond count under the first

T = TypeVar("T", int, str, bytes)
Key = FileId | tuple[int, int]  # of a document: its file id, or account and offer
Name = tuple[str, int, bytes, str]  # path, size, tags as in `Entry`, text as made by `entry.search_text`
Names = tuple[Name, ...]

_RECORD = struct.Struct(">IIQ")  # account; offer; and changed << 16 | partial << 8 | number of the name
_KEY = struct.Struct(">II")
_ABOUT = struct.Struct(">8xQ")
_BYTES = _RECORD.size
_LEADING = NAMED_BY * _BYTES
PARTIAL, _NUMBER = 0x100, 0xFF  # within a record's last number: a flag, and the number of the name


class Copy(NamedTuple):
    """Who offers a document, and under which number."""

    account: int
    offer: int
    about: int
    """When it was changed << 16, PARTIAL if it is, and the number of its name."""

    @property
    def partial(self) -> bool:
        return self.about & PARTIAL > 0


_COPY: Callable[[tuple[int, int, int]], Copy] = partial(tuple.__new__, Copy)
"""Without a call of Python's for each: a search reads hundreds."""


class Said(NamedTuple):
    """What a document is found by."""

    names: Names
    """Each once."""
    size: int
    """As most say."""
    tags: bytes
    """As most say."""
    changed: int
    """The oldest date that any of them gives, 0 if none does."""


Kept = tuple[int, bytes | tuple[int, int], bytes, Names]  # number, key, copies and names of a document
Change = tuple[Said | None, Said | None]  # before and after; None where nobody offers the document


class Documents:
    """Numbers of documents are used again when nobody offers them any more."""

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}
        self.keys: list[Key] = []
        self.copies: list[bytearray] = []
        self.names: list[Names] = []
        self._free: list[int] = []
        self.touched: BitMap | None = None
        """Documents that changed are noted here, if anybody wants to know."""

    def __len__(self) -> int:
        return len(self.numbers)

    # --- changing -----------------------------------------------------------------------------------

    def add(self, account: int, entry: Entry) -> tuple[int, Change | None]:
        """One more copy; returns its document, and what that changed about finding it."""
        key = entry.file or (account, entry.offer)
        document = self.numbers.get(key)
        if document is None:
            return self._add_first(key, account, entry)
        data = self.copies[document]
        number = self._number_of_name(document, entry)
        names = self.names[document]
        if self.touched is not None:
            self.touched.add(document)
        about = entry.changed << 16 | entry.partial << 8 | number
        record = _RECORD.pack(account, entry.offer, about)
        at = len(data) if record > data[-_BYTES:] else _place(data, record[: _KEY.size])
        if at >= _LEADING or (
            len(names) == 1
            and len(data) < _LEADING
            and 0 < int.from_bytes(data[_KEY.size : _KEY.size + 6], "big") <= entry.changed
        ):
            data[at:at] = record
            return document, None
        before = self.said(document)
        data[at:at] = record
        return document, _change(before, self.said(document))

    def remove(self, account: int, offer: int, file: FileId | None) -> tuple[int, bool, Change | None]:
        """A copy less; returns its document, whether the account holds it still, and what that changed."""
        document = self.numbers[file or (account, offer)]
        data = self.copies[document]
        key = _KEY.pack(account, offer)
        at = _place(data, key)
        if data[at : at + _KEY.size] != key:
            raise Misuse("a copy was removed that is not there")
        owner = key[:4]  # one person may hold two copies; they stand side by side
        held = (at > 0 and data[at - _BYTES : at - _BYTES + 4] == owner) or (
            data[at + _BYTES : at + _BYTES + 4] == owner
        )
        return document, held, self._cut(document, at, at + _BYTES)

    def remove_all(self, document: int, account: int) -> Change | None:
        """All copies of one account less; returns what that changed."""
        data = self.copies[document]
        start, owner = _place(data, _KEY.pack(account, 0)), _KEY.pack(account, 0)[:4]
        end = start
        while data[end : end + 4] == owner:
            end += _BYTES
        return self._cut(document, start, end)

    # --- asking -------------------------------------------------------------------------------------

    def said(self, document: int) -> Said | None:
        """What the copies say that count for finding the document."""
        data, names = self.copies[document], self.names[document]
        if not data:
            return None
        if len(data) == _BYTES and len(names) == 1:  # as almost all new ones
            [(_, size, tags, _)] = names
            return Said(names, size, tags, int.from_bytes(data[_KEY.size : _KEY.size + 6], "big"))
        changed = self.changed(document)
        if len(names) == 1:
            return Said(names, names[0][1], names[0][2], changed)
        numbers = data[_BYTES - 1 : _LEADING : _BYTES]
        size = usual([names[number][1] for number in numbers])
        tags = usual([names[number][2] for number in numbers])
        return Said(tuple([names[number] for number in sorted(set(numbers))]), size, tags, changed)

    def changed(self, document: int) -> int:
        """As in `Said`, of a document that somebody offers."""
        leading = self.copies[document][:_LEADING]
        oldest = min(_ABOUT.iter_unpack(leading))[0] >> 16  # the date stands in front
        return oldest or min(
            filter(None, [about >> 16 for (about,) in _ABOUT.iter_unpack(leading)]), default=0
        )

    def texts(self, document: int) -> Iterable[str]:
        """The search texts a document is found by."""
        names = self.names[document]
        if len(names) > 1:
            numbers = self.copies[document][_BYTES - 1 : _LEADING : _BYTES]
            return {names[number][3] for number in numbers}
        return (names[0][3],)

    def file(self, document: int) -> FileId | None:
        key = self.keys[document]
        return None if isinstance(key, tuple) else key

    def name_of(self, document: int, copy: Copy) -> Name:
        """As that copy shows the document."""
        return self.names[document][copy.about & _NUMBER]

    def from_copy(self, document: int, start: int) -> Iterator[Copy]:
        """All copies, beginning with copy `start` and all the way round."""
        data, at = self.copies[document], start * _BYTES
        return map(_COPY, chain(_RECORD.iter_unpack(data[at:]), _RECORD.iter_unpack(data[:at])))

    def count(self, document: int) -> int:
        """How many copies there are."""
        return len(self.copies[document]) // _BYTES

    def copy_of(self, document: int, account: int) -> Copy:
        """The first copy of an account that holds one."""
        data = self.copies[document]
        return Copy(*_RECORD.unpack_from(data, _place(data, _KEY.pack(account, 0))))

    def only_holder(self, document: int) -> int | None:
        """The account that alone holds it; None if there are several."""
        data = self.copies[document]
        owner = data[:4]
        return int.from_bytes(owner, "big") if data[-_BYTES : 4 - _BYTES] == owner else None

    def accounts(self, document: int) -> Sequence[int]:
        """Whoever holds it, in order; one with two copies stands there twice."""
        data = self.copies[document]
        return struct.unpack(f">{len(data) // 4}I", data)[:: _BYTES // 4]

    def holders(self, document: int) -> tuple[list[int], list[int]]:
        """The accounts with all of it, and those with a part; one may be among both, or twice."""
        wholes: list[int] = []
        partials: list[int] = []
        for account, _, about in _RECORD.iter_unpack(self.copies[document]):
            (partials if about & 0x100 else wholes).append(account)
        return wholes, partials

    # --- a snapshot ---------------------------------------------------------------------------------

    def kept(self, document: int) -> Kept:
        return document, self.keys[document], bytes(self.copies[document]), self.names[document]

    def put(self, kept: Kept) -> None:
        """Put a document where nothing stands yet."""
        document, key, copies, names = kept
        for _ in range(len(self.keys), document + 1):
            self.keys.append((0, 0))
            self.copies.append(bytearray())
            self.names.append(())
        if copies:
            self.keys[document] = key if isinstance(key, tuple) else FileId(key)
            self.copies[document] = bytearray(copies)
            self.names[document] = names
            self.numbers[self.keys[document]] = document

    def find_free(self) -> None:
        """To be called when everything is put."""
        self._free = [document for document, copies in enumerate(self.copies) if not copies]

    # --- inside -------------------------------------------------------------------------------------

    def _add_first(self, key: Key, account: int, entry: Entry) -> tuple[int, Change]:
        """The first copy of a document that nobody offered."""
        _, _, path, size, changed, partial, tags, _ = entry
        names: Names = ((path, size, tags, search_text(path, tags)),)
        copies = bytearray(_RECORD.pack(account, entry.offer, changed << 16 | partial << 8))
        if self._free:
            document = self._free.pop()
            self.keys[document], self.copies[document], self.names[document] = key, copies, names
        else:
            document = len(self.keys)
            self.keys.append(key)
            self.copies.append(copies)
            self.names.append(names)
        self.numbers[key] = document
        if self.touched is not None:
            self.touched.add(document)
        return document, (None, Said(names, size, tags, changed))

    def _cut(self, document: int, start: int, end: int) -> Change | None:
        if self.touched is not None:
            self.touched.add(document)
        data = self.copies[document]
        if start >= _LEADING:
            del data[start:end]
            return None
        before = self.said(document)
        del data[start:end]
        if not data:
            del self.numbers[self.keys[document]]
            self.copies[document] = bytearray()  # gives its memory back
            self.names[document] = ()
            self._free.append(document)
        return _change(before, self.said(document))

    def _number_of_name(self, document: int, entry: Entry) -> int:
        names = self.names[document]
        path, size, tags = entry.path, entry.size, entry.tags
        for number, name in enumerate(names):
            if name[0] == path and name[1] == size and name[2] == tags:
                return number
        name = (path, size, tags, search_text(path, tags))
        if len(names) < NAMES_MAX:
            self.names[document] = (*names, name)
            return len(names)
        used = set(self.copies[document][_BYTES - 1 :: _BYTES])
        if len(used) == NAMES_MAX:
            return 0
        number = min(set(range(NAMES_MAX)) - used)
        self.names[document] = (*names[:number], name, *names[number + 1 :])
        return number


def usual(values: list[T]) -> T:
    """What most say, for some may lie. In a draw the greatest, so that the answer is always the same."""
    distinct = set(values)
    return values[0] if len(distinct) == 1 else max(distinct, key=lambda value: (values.count(value), value))


def _change(before: Said | None, after: Said | None) -> Change | None:
    return None if before == after else (before, after)


def _place(data: bytearray, key: bytes) -> int:
    """Where the first copy stands whose account and offer are not below the key."""
    low, high = 0, len(data) // _BYTES
    while low < high:
        middle = (low + high) // 2
        if data[middle * _BYTES : middle * _BYTES + _KEY.size] < key:
            low = middle + 1
        else:
            high = middle
    return low * _BYTES
