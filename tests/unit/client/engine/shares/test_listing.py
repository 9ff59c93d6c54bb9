from __future__ import annotations

import pytest

from client.engine.beneath import Stamp
from client.engine.shares import inventory
from client.engine.shares.inventory import Change, Share
from client.engine.shares.listing import (
    CURSOR_BYTES_MAX,
    ENTRIES_BYTES_MAX,
    START,
    ListingPage,
    Position,
    list_folder,
    position_untrusted,
)
from p2pshare.database import Database
from p2pshare.errors import BadMessage
from p2pshare.wire.fields import Folder
from p2pshare.wire.peer import Listing
from p2pshare.wire.schema import encode
from tests.shared_tree import open_library


async def share_of(library: Database, *places: str, name: str = "Music") -> Share:
    share = await library.write(inventory.add_share, f"/{name}", name, 0.0)
    changes = [
        Change(place.rpartition("/")[0], place.rpartition("/")[2], Stamp(10, 0, "1")) for place in places
    ]
    await library.write(inventory.apply, share, changes)
    return share


async def all_pages(library: Database, folder: str, entries: int = 2, size: int = 10_000) -> list[list[str]]:
    pages, after = [], START
    while True:
        page = await library.read(list_folder, folder, after, entries, size)
        assert page is not None
        names = [found.name + "/" for found in page.folders] + [
            o.path.rpartition("/")[2] for o in page.offers
        ]
        pages.append(names)
        if not page.cursor:
            return pages
        assert len(page.cursor) <= CURSOR_BYTES_MAX
        after = position_untrusted(page.cursor)


def joined(pages: list[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


async def test_the_top_lists_the_shares() -> None:
    async with open_library() as library:
        await share_of(library, "a", "in/b")
        await share_of(library, "c", name="films")
        await share_of(library, name="empty")
        assert await library.read(list_folder, "") == ListingPage(
            (
                Folder(name="empty", files=0, bytes=0),
                Folder(name="films", files=1, bytes=10),
                Folder(name="Music", files=2, bytes=20),
            ),
            (),
            b"",
            3,
            30,
        )
        assert await all_pages(library, "", entries=1) == [["empty/"], ["films/"], ["Music/"]]


async def test_folders_come_first_and_each_in_order_of_name_without_case() -> None:
    async with open_library() as library:
        await share_of(library, "b", "B", "a", "Z/1", "y/2", "Y/3", "ä", "c")
        assert await all_pages(library, "Music", entries=100) == [["Y/", "y/", "Z/", "a", "B", "b", "c", "ä"]]
        for entries in (1, 2, 3, 4, 7):
            pages = await all_pages(library, "Music", entries)
            assert joined(pages) == ["Y/", "y/", "Z/", "a", "B", "b", "c", "ä"]
            assert all(len(page) == entries for page in pages[:-1])


async def test_a_listing_counts_at_any_depth_and_leaves_out_empty_folders() -> None:
    async with open_library() as library:
        share = await share_of(library, "in/deep/a", "in/b", "gone/c")
        await library.write(inventory.apply, share, [Change("gone", "c", None)])
        page = await library.read(list_folder, "Music")
        assert page is not None
        assert (page.folders, page.files, page.bytes) == ((Folder(name="in", files=2, bytes=20),), 2, 20)
        inner = await library.read(list_folder, "Music/in/deep")
        assert inner is not None and [offer.path for offer in inner.offers] == ["Music/in/deep/a"]


@pytest.mark.parametrize("folder", ["Films", "Music/other", "Music/in/", "music", "/", "Music/a"])
async def test_there_are_no_other_folders(folder: str) -> None:
    async with open_library() as library:
        await share_of(library, "a", "in/b")
        assert await library.read(list_folder, folder) is None


async def test_a_share_that_is_away_is_not_listed() -> None:
    async with open_library() as library:
        share = await share_of(library, "a")
        await library.write(inventory.set_away, share.id, True)
        assert await library.read(list_folder, "Music") is None
        assert await library.read(list_folder, "") == ListingPage((), (), b"", 0, 0)


async def test_a_page_goes_on_where_its_last_entry_stood_although_it_is_gone() -> None:
    async with open_library() as library:
        share = await share_of(library, "a", "b", "c", "d")
        page = await library.read(list_folder, "Music", START, 2)
        assert page is not None
        await library.write(
            inventory.apply, share, [Change("", "b", None), Change("", "bb", Stamp(1, 1, "1"))]
        )
        rest = await library.read(list_folder, "Music", position_untrusted(page.cursor), 10)
        assert rest is not None and [offer.path for offer in rest.offers] == [
            "Music/bb",
            "Music/c",
            "Music/d",
        ]


async def test_long_names_page_too_although_a_cursor_is_short() -> None:
    names = ["x" * 200 + str(n) for n in range(10, 20)]
    async with open_library() as library:
        await share_of(library, *names, *(f"{name}/f" for name in names))
        assert joined(await all_pages(library, "Music", 3)) == [f"{name}/" for name in names] + names


async def test_a_page_fits_its_frame_however_long_the_paths() -> None:
    deep = "/".join(["\u00e9" * 100] * 4)
    async with open_library() as library:
        await share_of(library, *(f"{deep}/{n:03d}{'y' * 180}" for n in range(600)))
        page = await library.read(list_folder, f"Music/{deep}")
        assert page is not None and 200 < len(page.offers) < 500 and page.cursor
        listing = Listing(
            request=2**32 - 1,
            folders=page.folders,
            offers=page.offers,
            files=2**62,
            bytes=2**62,
            cursor=bytes(CURSOR_BYTES_MAX),
        )
        assert ENTRIES_BYTES_MAX * 0.98 < len(encode(listing)) <= Listing.FRAME_MAX
        assert len(joined(await all_pages(library, f"Music/{deep}", 500, ENTRIES_BYTES_MAX))) == 600


@pytest.mark.parametrize("cursor", [b"\x00", b"\x02" + bytes(8), b"\x01\xff" + bytes(7), b"\x01" + bytes(7)])
def test_a_cursor_that_we_never_gave_is_refused(cursor: bytes) -> None:
    with pytest.raises(BadMessage):
        position_untrusted(cursor)


def test_a_cursor_comes_back_as_the_same_position() -> None:
    for position in (START, Position(1, 2**31, "sch\u00f6n"), Position(0, 7, "")):
        assert position_untrusted(position.cursor()) == position
    cut = position_untrusted(Position(1, 3, "\u00e9" * 100).cursor())
    assert cut == Position(1, 3, "\u00e9" * 27)
