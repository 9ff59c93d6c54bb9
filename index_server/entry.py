"""One offer as the index server keeps it: the columns of its row, and the text it is found by. PURE."""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.names import fold, has_control_characters, split_path_untrusted
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.manifest import offer_hash
from p2pshare.wire.schema import dump, load_untrusted, pack, unpack_untrusted


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
    hash: bytes
    """What the offer adds to the digest of the manifest."""


def entry_untrusted(offer: Offer) -> Entry:
    """Check what the declaration of the message cannot. Raises `Refused` and nothing else."""
    try:
        split_path_untrusted(offer.path)
    except BadMessage as error:
        raise Refused(Reason.FAILED, f"Offer {offer.offer} cannot be listed. {error.text}") from None
    tags = offer.tags
    if any(has_control_characters(text) for text in (tags.title, tags.artist, tags.album)):
        text = f"Offer {offer.offer} cannot be listed. Its tags contain control characters."
        raise Refused(Reason.FAILED, text)
    return Entry(
        offer=offer.offer,
        file=offer.file,
        path=offer.path,
        size=offer.size,
        changed=offer.changed,
        partial=offer.partial,
        tags=b"" if tags == NO_TAGS else pack(dump(tags)),
        hash=offer_hash(offer),
    )


def tags_of(entry_tags: bytes) -> Tags:
    """The tags of an entry, unpacked."""
    return load_untrusted(Tags, unpack_untrusted(entry_tags)) if entry_tags else NO_TAGS


def search_text(path: str, tags: bytes) -> str:
    """What a file is found by, folded: three lines for its name, its folders and its tags.

    Every word stands between two spaces, so that `" wu tang " in text` looks for whole words side by side.
    """
    folders, _, name = path.rpartition("/")
    said = ""
    if tags:
        parts = tags_of(tags)
        said = f"{parts.artist} {parts.title} {parts.album} {parts.year or ''}"
    return f" {fold(name)} \n {fold(folders)} \n {fold(said)} "
