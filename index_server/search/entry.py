"""One offer as the index server keeps it: packed as its owner sent it, and the text it is found by. PURE."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import msgspec

from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.names import fold, has_control_characters, is_plain_path, split_path_untrusted
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.manifest import packed_offer_hash
from p2pshare.wire.schema import dump, load_untrusted, pack, unpack_untrusted

_TAGS_FIELDS = attrgetter(*[field.name for field in Tags.FIELDS])
_NO_TAGS = _TAGS_FIELDS(NO_TAGS)
_PACKED_NO_TAGS = pack(dump(NO_TAGS))
_ENCODE = msgspec.msgpack.Encoder().encode
_OFFER = msgspec.msgpack.Decoder(tuple[int, str, int, bytes | None, int, msgspec.Raw, bool])


_new = tuple.__new__  # makes a named tuple in a third of the time: a publish has hundreds


class Entry(NamedTuple):
    """An offer that passed the checks. Tags stay packed: few are ever looked at, and objects cost memory."""

    offer: int
    file: FileId | None
    path: str
    size: int
    changed: int
    partial: bool
    tags: bytes
    """MessagePack of the `Tags`; empty if they say nothing."""
    packed: bytes
    """MessagePack of the whole `Offer`."""

    @property
    def hash(self) -> bytes:
        """What the offer adds to the digest of the manifest."""
        return packed_offer_hash(self.packed)


def entry_untrusted(offer: Offer) -> Entry:
    """Check what the declaration of the message cannot. Raises `Refused` and nothing else."""
    number, path, size, file = offer.offer, offer.path, offer.size, offer.file
    if not is_plain_path(path):
        try:
            split_path_untrusted(path)
        except BadMessage as error:
            raise Refused(Reason.FAILED, f"Offer {number} cannot be listed. {error.text}") from None
    # The fields were checked when the message was decoded; `dump` would check them again, for half the time
    # that a publish takes.
    tags = _TAGS_FIELDS(offer.tags)
    if tags == _NO_TAGS:
        packed_tags = b""
    elif has_control_characters(f"{offer.tags.title}{offer.tags.artist}{offer.tags.album}"):
        text = f"Offer {number} cannot be listed. Its tags contain control characters."
        raise Refused(Reason.FAILED, text)
    else:
        packed_tags = _ENCODE(tags)
    changed, partial = offer.changed, offer.partial
    packed = _ENCODE((number, path, size, file, changed, tags, partial))
    return _new(Entry, (number, file, path, size, changed, partial, packed_tags, packed))


def entry_of(packed: bytes) -> Entry:
    """The entry that was packed like this."""
    offer, path, size, file, changed, raw, partial = _OFFER.decode(packed)
    tags = bytes(raw)
    return Entry(
        offer,
        None if file is None else FileId(file),
        path,
        size,
        changed,
        partial,
        b"" if tags == _PACKED_NO_TAGS else tags,
        packed,
    )


@lru_cache(maxsize=1_000)  # who adds a file asks twice within some milliseconds
def tags_of(entry_tags: bytes) -> Tags:
    """The tags of an entry, unpacked."""
    return load_untrusted(Tags, unpack_untrusted(entry_tags)) if entry_tags else NO_TAGS


def search_text(path: str, tags: bytes) -> str:
    """What a file is found by, folded: three lines for its name, its folders and its tags.

    Every word stands between two spaces, so that `" wu tang " in text` looks for whole words side by side.
    """
    folders, _, name = path.rpartition("/")
    if not tags:
        return f" {fold(name)} \n {_folded(folders)} \n  "
    parts = tags_of(tags)
    said = fold(f"{parts.artist} {parts.title} {parts.album} {parts.year or ''}")
    return f" {fold(name)} \n {_folded(folders)} \n {said} "


_folded = lru_cache(maxsize=1_000)(fold)  # the files of a folder come one after the other
