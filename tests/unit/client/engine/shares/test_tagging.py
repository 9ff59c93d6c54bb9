from __future__ import annotations

from collections.abc import Sequence

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.beneath import Stamp
from client.engine.offload import Inline
from client.engine.shares import inventory
from client.engine.shares.inventory import Change, Share
from client.engine.shares.offers import find_offer
from client.engine.shares.tagging import NO_READER_S, Tagging
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.wire.fields import Tags
from tests.shared_tree import open_library

STAMP = Stamp(3, 7, "1")


class NameAsTitle:
    """A reader to which every file says its own name."""

    def __init__(self) -> None:
        self.read_so_far: list[str] = []
        self.ended: list[str] = []
        self.trouble = ""

    def read(self, files: Sequence[tuple[str, Sequence[str]]]) -> list[Tags]:
        if self.trouble:
            raise LocalTrouble(self.trouble)
        self.read_so_far += ["/".join([root, *parts]) for root, parts in files]
        return [Tags(title=parts[-1]) for _, parts in files]

    def interrupt(self) -> None:
        self.ended.append("interrupted")

    def close(self) -> None:
        self.ended.append("closed")


async def share_of(library: Database, *names: str) -> tuple[Share, list[int]]:
    share = await library.write(inventory.add_share, "/music", "music", 0.0)
    changes = [Change("in", name, STAMP) for name in names]
    return share, await library.write(inventory.apply, share, changes)


async def test_new_media_files_are_read_once_and_told() -> None:
    reader = NameAsTitle()
    told: list[int] = []
    async with open_library() as library:
        share, [song, _] = await share_of(library, "a.mp3", "b.txt")
        tagging = Tagging(library, Inline(), reader, on_tagged=told.extend)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tagging.run)
            await wait_all_tasks_blocked()
            assert (reader.read_so_far, told) == (["/music/in/a.mp3"], [song])
            offer = await library.read(find_offer, song)
            assert offer is not None and offer.tags == Tags(title="a.mp3")
            [picture] = await library.write(inventory.apply, share, [Change("", "c.jpg", STAMP)])
            tagging.look_again()
            await wait_all_tasks_blocked()
            assert (reader.read_so_far[1:], told[1:]) == (["/music/c.jpg"], [picture])
            nursery.cancel_scope.cancel()
        assert reader.ended == ["interrupted", "closed"]


async def test_where_tags_cannot_be_read_nothing_is_written_and_it_is_tried_again_later(
    mock_clock: MockClock,
) -> None:
    reader = NameAsTitle()
    reader.trouble = "No library."
    async with open_library() as library, trio.open_nursery() as nursery:
        await share_of(library, "a.mp3")
        nursery.start_soon(Tagging(library, Inline(), reader, on_tagged=lambda offers: None).run)
        await wait_all_tasks_blocked()
        [(tags,)] = await library.read(lambda db: db.execute("SELECT tags FROM file").fetchall())
        assert tags is None
        reader.trouble = ""
        mock_clock.jump(NO_READER_S)
        await wait_all_tasks_blocked()
        assert reader.read_so_far == ["/music/in/a.mp3"]
        nursery.cancel_scope.cancel()


async def test_what_was_interrupted_is_not_taken_for_the_truth() -> None:
    async with open_library() as library:
        await share_of(library, "a.mp3")
        scope = trio.CancelScope()

        class CancelledMeanwhile(NameAsTitle):
            def read(self, files: Sequence[tuple[str, Sequence[str]]]) -> list[Tags]:
                scope.cancel()
                return super().read(files)

        with scope:
            await Tagging(library, Inline(), CancelledMeanwhile(), on_tagged=lambda offers: None).run()
        assert scope.cancelled_caught
        [(tags,)] = await library.read(lambda db: db.execute("SELECT tags FROM file").fetchall())
        assert tags is None
