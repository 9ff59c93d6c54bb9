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
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

from pyroaring import BitMap

from index_server.search.copies import (
    ABOUT,
    BYTES,
    COPY,
    DATE,
    DATE_END,
    KEY,
    LEADING,
    NEVER,
    NUMBER,
    RECORD,
    Copy,
    Name,
    Names,
    adds_nothing,
    find,
    is_beside_own,
    place,
)
from index_server.search.entry import Entry, search_text
from p2pshare.hashing import FileId

NAMES_MAX = 256  # names kept of one document: their numbers fit a byte. Copies beyond count under the first

T = TypeVar("T", int, str, bytes)
Key = FileId | tuple[int, int]  # of a document: its file id, or account and offer


class Gone(NamedTuple):
    """An offer that was removed or replaced, as far as is needed to find its document."""

    offer: int
    file: FileId | None


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
Changes = dict[int, Change]  # by document


class Documents:
    """Numbers of documents are used again when nobody offers them any more."""

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}
        self.keys: list[Key] = []
        self.copies: list[bytearray] = []
        self.names: list[Names] = []
        self.left: dict[int, Said] = {}
        """Documents that nobody offers any more, and what they are still found by: they may come back."""
        self._free: list[int] = []
        self.touched: BitMap | None = None
        """Documents that changed are noted here, if anybody wants to know."""

    def __len__(self) -> int:
        return len(self.numbers) - len(self.left)

    # --- changing -----------------------------------------------------------------------------------

    def add_all(self, account: int, entries: Iterable[Entry], changes: Changes) -> list[int]:
        """More copies of one account; returns their documents, and notes what that changed."""
        joined: list[int] = []
        numbers, copies, all_names = self.numbers, self.copies, self.names
        for entry in entries:
            offer, file, path, size, changed, partial, tags, _ = entry
            document = numbers.get(file or (account, offer))
            if document is not None:
                # Nearly always: it is called as before, by somebody who joined later. Nothing to look at.
                names, data = all_names[document], copies[document]
                known_path, known_size, known_tags, _ = names[0]
                record = RECORD.pack(account, offer, changed << 16 | partial << 8)
                if (
                    known_path == path
                    and known_size == size
                    and known_tags == tags
                    and record > data[-BYTES:]
                    and (
                        len(data) >= LEADING
                        or (len(names) == 1 and NEVER < data[DATE:DATE_END] <= record[DATE:DATE_END])
                    )
                ):
                    data += record
                    joined.append(document)
                    continue
                document, change = self.add(account, entry)
            else:
                document, change = self._add_first(file or (account, offer), account, entry)
            joined.append(document)
            if change is not None:
                note(changes, document, change)
        if self.touched is not None:
            self.touched.update(joined)
        return joined

    def remove_each(self, account: int, gone: Iterable[Gone], changes: Changes) -> list[int]:
        """Copies of one account less; returns the documents that it holds no more, and notes the same."""
        left: list[int] = []
        numbers, copies, all_names, touched = self.numbers, self.copies, self.names, self.touched
        for offer, file in gone:
            document = numbers[file or (account, offer)]
            data = copies[document]
            at = find(data, KEY.pack(account, offer))
            # Nearly always: one of several, under the only name, and another one says a date as old.
            if BYTES < len(data) <= LEADING and len(all_names[document]) == 1:
                other = BYTES + DATE if at == 0 else DATE
                is_quiet = NEVER < data[other : other + 6] <= data[at + DATE : at + DATE_END]
            else:
                is_quiet = at >= LEADING
            if not is_beside_own(data, at):
                left.append(document)
            if is_quiet:
                del data[at : at + BYTES]
                if touched is not None:
                    touched.add(document)
            elif (change := self._cut(document, at, at + BYTES)) is not None:
                note(changes, document, change)
        return left

    def add(self, account: int, entry: Entry) -> tuple[int, Change | None]:
        """One more copy; returns its document, and what that changed about finding it."""
        key = entry.file or (account, entry.offer)
        document = self.numbers.get(key)
        if document is None:
            return self._add_first(key, account, entry)
        if document in self.left:
            return document, self._come_back(document, account, entry)
        data = self.copies[document]
        number = self._number_of_name(document, entry)
        names = self.names[document]
        about = entry.changed << 16 | entry.partial << 8 | number
        record = RECORD.pack(account, entry.offer, about)
        at = len(data) if record > data[-BYTES:] else place(data, record[: KEY.size])
        if at >= LEADING or (len(data) < LEADING and adds_nothing(names, data, number, entry.changed)):
            data[at:at] = record
            return document, None
        before = self.said(document)
        data[at:at] = record
        return document, _change(before, self.said(document))

    def remove_all(self, document: int, account: int) -> Change | None:
        """All copies of one account less; returns what that changed."""
        data = self.copies[document]
        start, owner = place(data, KEY.pack(account, 0)), KEY.pack(account, 0)[:4]
        end = start
        while data[end : end + 4] == owner:
            end += BYTES
        return self._cut(document, start, end)

    def tidy(self, most: int, changes: Changes) -> None:
        """Forget some of those that left, and note what they are found by no more."""
        for document in [*islice(self.left, most)]:
            note(changes, document, (self.left.pop(document), None))
            del self.numbers[self.keys[document]]
            self.names[document] = ()
            self._free.append(document)

    # --- asking -------------------------------------------------------------------------------------

    def said(self, document: int) -> Said | None:
        """What the copies say that count for finding the document."""
        data, names = self.copies[document], self.names[document]
        if not data:
            return None
        if len(data) == BYTES and len(names) == 1:  # as almost all new ones
            [(_, size, tags, _)] = names
            return Said(names, size, tags, int.from_bytes(data[KEY.size : KEY.size + 6], "big"))
        changed = self.changed(document)
        if len(names) == 1:
            return Said(names, names[0][1], names[0][2], changed)
        numbers = data[BYTES - 1 : LEADING : BYTES]
        size = usual([names[number][1] for number in numbers])
        tags = usual([names[number][2] for number in numbers])
        return Said(tuple([names[number] for number in sorted(set(numbers))]), size, tags, changed)

    def changed(self, document: int) -> int:
        """As in `Said`, of a document that somebody offers."""
        leading = self.copies[document][:LEADING]
        oldest = min(ABOUT.iter_unpack(leading))[0] >> 16  # the date stands in front
        return oldest or min(
            filter(None, [about >> 16 for (about,) in ABOUT.iter_unpack(leading)]), default=0
        )

    def texts(self, document: int) -> Iterable[str]:
        """The search texts a document is found by."""
        names = self.names[document]
        if len(names) > 1:
            numbers = self.copies[document][BYTES - 1 : LEADING : BYTES]
            return {names[number][3] for number in numbers}
        return (names[0][3],)

    def file(self, document: int) -> FileId | None:
        key = self.keys[document]
        return None if isinstance(key, tuple) else key

    def name_of(self, document: int, copy: Copy) -> Name:
        """As that copy shows the document."""
        return self.names[document][copy.about & NUMBER]

    def from_copy(self, document: int, start: int) -> Iterator[Copy]:
        """All copies, beginning with copy `start` and all the way round."""
        data, at = self.copies[document], start * BYTES
        return map(COPY, chain(RECORD.iter_unpack(data[at:]), RECORD.iter_unpack(data[:at])))

    def count(self, document: int) -> int:
        """How many copies there are."""
        return len(self.copies[document]) // BYTES

    def copy_of(self, document: int, account: int) -> Copy:
        """The first copy of an account that holds one."""
        data = self.copies[document]
        return Copy(*RECORD.unpack_from(data, place(data, KEY.pack(account, 0))))

    def only_holder(self, document: int) -> int | None:
        """The account that alone holds it; None if there are several."""
        data = self.copies[document]
        owner = data[:4]
        return int.from_bytes(owner, "big") if data[-BYTES : 4 - BYTES] == owner else None

    def accounts(self, document: int) -> Sequence[int]:
        """Whoever holds it, in order; one with two copies stands there twice."""
        data = self.copies[document]
        return struct.unpack(f">{len(data) // 4}I", data)[:: BYTES // 4]

    def holders(self, document: int) -> tuple[list[int], list[int]]:
        """The accounts with all of it, and those with a part; one may be among both, or twice."""
        wholes: list[int] = []
        partials: list[int] = []
        for account, _, about in RECORD.iter_unpack(self.copies[document]):
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
        if self._free:
            document = self._free.pop()
            self.keys[document] = key
        else:
            document = len(self.keys)
            self.keys.append(key)
            self.copies.append(bytearray())
            self.names.append(())
        self.numbers[key] = document
        return document, (None, self._begin(document, account, entry))

    def _come_back(self, document: int, account: int, entry: Entry) -> Change | None:
        """The first copy of a document that nobody offered for a while."""
        return _change(self.left.pop(document), self._begin(document, account, entry))

    def _begin(self, document: int, account: int, entry: Entry) -> Said:
        _, _, path, size, changed, partial, tags, _ = entry
        if (known := self.names[document]) and known[0][:3] == (path, size, tags):
            names: Names = known[:1]
        else:
            names = ((path, size, tags, search_text(path, tags)),)
        self.names[document] = names
        self.copies[document] = bytearray(RECORD.pack(account, entry.offer, changed << 16 | partial << 8))
        return Said(names, size, tags, changed)

    def _cut(self, document: int, start: int, end: int) -> Change | None:
        if self.touched is not None:
            self.touched.add(document)
        data = self.copies[document]
        if start >= LEADING or (
            end - start == BYTES < len(data) <= LEADING and self._is_idle(document, start)
        ):
            del data[start:end]
            return None
        before = self.said(document)
        del data[start:end]
        if not data:
            assert before is not None
            self.copies[document] = bytearray()  # gives its memory back
            self.left[document] = before
            return None
        return _change(before, self.said(document))

    def _is_idle(self, document: int, at: int) -> bool:
        """Whether the document is found by the same without the copy that stands there."""
        data = self.copies[document]
        (about,) = ABOUT.unpack_from(data, at)
        others = data[:at] + data[at + BYTES :]
        return adds_nothing(self.names[document], others, about & NUMBER, about >> 16)

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
        used = set(self.copies[document][BYTES - 1 :: BYTES])
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


def note(changes: Changes, document: int, change: Change) -> None:
    """The same document may change twice: its copy is replaced by another, or its number used again."""
    before, after = change
    changes[document] = (changes[document][0] if document in changes else before, after)
