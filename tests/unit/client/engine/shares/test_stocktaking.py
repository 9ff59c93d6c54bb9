from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from client.engine.beneath import Stamp
from client.engine.offload import Inline
from client.engine.shares import scan, stocktaking
from client.engine.shares.inventory import Share, Standing, shares
from client.engine.shares.offers import find_offer, offers_among
from client.engine.shares.scan import NOTHING_SKIPPED, Rules, Skipped
from client.engine.shares.stocktaking import Stocktaking, path_inside
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileHasher, PieceHashes
from tests.shared_tree import Interrupted, make_tree, open_library, rewrite


class Stand:
    """A library, what takes stock of it, and the offers it told of."""

    def __init__(self, library: Database, rules: Rules) -> None:
        self.library = library
        self.touched: list[int] = []
        self.stock = Stocktaking(
            library, Inline(), rules, unix_now=lambda: 0.0, on_touched=self.touched.extend
        )

    async def share(self, root: Path) -> Share:
        share = await self.stock.add(str(root))
        await self.stock.look(share)
        return share

    async def paths(self) -> set[str]:
        """Everything that is offered."""
        numbers = await self.library.read(lambda db: [n for (n,) in db.execute("SELECT id FROM file")])
        return {offer.path for offer in await self.library.read(offers_among, numbers)}

    async def standing(self) -> Standing:
        [(_, standing)] = await self.library.read(shares)
        return standing

    def told(self) -> int:
        """How many different offers were told of since the last call."""
        count = len(set(self.touched))
        self.touched.clear()
        return count


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with open_library() as library:
        yield Stand(library, Rules(("*.tmp",), private=str(tmp_path / "profile")))


def hashes_of(file: Path) -> PieceHashes:
    content = file.read_bytes()
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


async def test_a_look_finds_everything_and_a_second_one_nothing_new(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "in/b", "in/deep/c", "x.tmp")
    share = await stand.share(root)
    assert await stand.paths() == {"music/a", "music/in/b", "music/in/deep/c"}
    assert stand.told() == 3
    await stand.stock.look(share)
    assert stand.told() == 0


async def test_a_look_is_written_down_bit_by_bit(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stocktaking, "WRITE_AT_ONCE", 2)
    monkeypatch.setattr(scan, "BATCH_FOLDERS", 2)
    root = make_tree(tmp_path / "music", *(f"{folder}/{file}" for folder in range(5) for file in range(5)))
    await stand.share(root)
    assert (await stand.standing()).files == 25


async def test_changes_are_found_folder_by_folder(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "in/b", "in/c", "old/d", "old/deep/e")
    share = await stand.share(root)
    stand.told()
    rewrite(root / "in" / "b", "changed")
    (root / "in" / "c").unlink()
    shutil.rmtree(root / "old")
    make_tree(root, "new/f", "new/deep/g")
    rewrite(root / "a", "not looked at")
    await stand.stock.look(share, {"in": False})
    assert stand.told() == 2
    await stand.stock.look(share, {"": False})
    assert await stand.paths() == {"music/a", "music/in/b", "music/new/f", "music/new/deep/g"}
    assert stand.told() == 5
    assert (await stand.standing()).files == 4


async def test_a_folder_exchanged_for_another_is_looked_into_deeply_when_asked(
    stand: Stand, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "music", "in/deep/a")
    share = await stand.share(root)
    shutil.rmtree(root / "in")
    make_tree(root, "in/deep/b")
    await stand.stock.look(share, {"": False, "in": True})
    assert await stand.paths() == {"music/in/deep/b"}


async def test_what_could_not_be_shared_is_remembered_until_it_is_mended(
    stand: Stand, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "music", "a", "in/bad\\name", "in/deep/bad\nname", "bad\\folder/x")
    share = await stand.share(root)
    assert stand.stock.skipped(share) == Skipped(unfit_names=3)
    (root / "in" / "bad\\name").rename(root / "in" / "good name")
    await stand.stock.look(share, {"in": False})
    assert stand.stock.skipped(share) == Skipped(unfit_names=2)
    shutil.rmtree(root / "in")
    await stand.stock.look(share, {"": False})
    assert stand.stock.skipped(share) == Skipped(unfit_names=1)
    await stand.stock.forget(share)
    assert stand.stock.skipped(share) == NOTHING_SKIPPED


async def test_a_share_that_is_gone_keeps_its_files_until_it_is_back(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "in/b")
    share = await stand.share(root)
    assert stand.stock.present.value == {share.id: share.top}
    stand.told()
    root.rename(tmp_path / "unplugged")
    for folders in ({"": True}, {"in": False}):
        await stand.stock.look(share, folders)
        assert await stand.paths() == set()
        assert await stand.standing() == Standing(2, 5, 0, away=True)
        assert stand.stock.present.value == {}
    assert stand.told() == 2
    (tmp_path / "unplugged").rename(root)
    await stand.stock.look(share)
    assert await stand.paths() == {"music/a", "music/in/b"}
    assert stand.told() == 2 and share.id in stand.stock.present.value


async def test_shares_must_not_overlap(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "in/deep/a")
    make_tree(tmp_path / "music2", "b")
    share = await stand.share(root / "in")
    assert await stand.share(root / "in") == share
    with pytest.raises(LocalTrouble, match=r"contains .*/music/in, which is shared already"):
        await stand.stock.add(str(root))
    with pytest.raises(LocalTrouble, match=r"is shared already, as a part of .*/music/in"):
        await stand.stock.add(str(root / "in" / "deep"))
    assert (await stand.stock.add(str(tmp_path / "music2"))).top.name == "music2"


async def test_the_folder_with_our_key_cannot_be_shared_but_one_in_it_can(
    stand: Stand, tmp_path: Path
) -> None:
    profile = make_tree(tmp_path / "profile", "identity", "downloads/a")
    with pytest.raises(LocalTrouble, match="your own key"):
        await stand.stock.add(str(profile))
    await stand.share(profile / "downloads")
    assert await stand.paths() == {"downloads/a"}


async def test_a_share_is_forgotten_with_all_its_offers(stand: Stand, tmp_path: Path) -> None:
    share = await stand.share(make_tree(tmp_path / "music", "a", "in/b"))
    stand.told()
    await stand.stock.forget(share)
    assert stand.told() == 2 and await stand.paths() == set()
    assert stand.stock.shares.value == () and stand.stock.present.value == {}
    await stand.stock.look(share)  # asked for before it was forgotten
    assert await stand.paths() == set() and (tmp_path / "music" / "a").exists()


async def test_a_finished_download_is_offered_with_its_hash_at_once(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a")
    share = await stand.share(root)
    make_tree(root, "in/new.txt")
    (tmp_path / "link").symlink_to(root / "in")
    hashes = hashes_of(root / "in" / "new.txt")
    offer = await stand.stock.adopt(str(tmp_path / "link" / "new.txt"), hashes)
    assert offer is not None
    found = await stand.library.read(find_offer, offer)
    assert found is not None and (found.path, found.file) == ("music/in/new.txt", hashes.file_id)
    stand.told()
    await stand.stock.look(share)
    assert stand.told() == 0 and await stand.standing() == Standing(2, 11, 1, away=False)


@pytest.mark.parametrize("name", [".hidden", "x.tmp", "bad\\name"])
async def test_a_download_that_would_not_be_shared_is_not_but_its_hash_is_kept(
    stand: Stand, tmp_path: Path, name: str
) -> None:
    root = make_tree(tmp_path / "music", name)
    await stand.share(root)
    assert await stand.stock.adopt(str(root / name), hashes_of(root / name)) is None
    elsewhere = make_tree(tmp_path / "elsewhere", "b")
    assert await stand.stock.adopt(str(elsewhere / "b"), hashes_of(elsewhere / "b")) is None
    await stand.share(elsewhere)
    [(_, there)] = [found for found in await stand.library.read(shares) if found[0].top.name == "elsewhere"]
    assert there.hashed == 1


async def test_a_download_that_is_not_what_it_should_be_is_not_adopted(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "other length")
    await stand.share(root)
    (root / "link").symlink_to(root / "a")
    for name in ("gone", "link", "other length"):
        with pytest.raises(LocalTrouble):
            await stand.stock.adopt(str(root / name), hashes_of(root / "a"))


async def test_many_downloads_are_adopted_at_once_and_hearing_of_them_is_no_news(
    stand: Stand, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "music", "a")
    share = await stand.share(root)
    elsewhere = make_tree(tmp_path / "elsewhere", "b")
    make_tree(root, "in/new", "in/deep/new", ".hidden")
    before = await stand.standing()
    (tmp_path / "link").symlink_to(root)
    paths = [tmp_path / "link" / name for name in ("in/new", "in/deep/new", ".hidden", "a")]
    paths.append(elsewhere / "b")
    files = [(str(path), Stamp.of(path.stat()), hashes_of(path)) for path in paths]
    adopted = await stand.stock.adopt_all(files)
    assert adopted == {str(paths[0]), str(paths[1]), str(paths[3])}  # what was known before, too
    assert await stand.paths() == {"music/a", "music/in/new", "music/in/deep/new"}
    after = await stand.standing()
    assert (after.files, after.hashed) == (before.files + 2, 3)
    assert after.bytes == before.bytes + sum(
        (root / name).stat().st_size for name in ("in/new", "in/deep/new")
    )
    stand.told()
    await stand.stock.look(share)
    assert stand.told() == 0
    ours = [str(root / "in" / "new"), str(root / "in"), str(root / "in" / "deep")]
    ours.append(str(root / "in" / f"#{(root / 'in' / 'new').stat().st_ino}"))  # while it had no name
    assert stand.stock.heard_of([*ours, str(root / "other")]) == {str(root / "other")}
    assert stand.stock.heard_of(ours) == set(ours)  # but the next change is somebody else's


async def test_a_download_that_finishes_during_a_look_is_not_lost(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was read before the file was there, and compared after it was adopted."""
    root = make_tree(tmp_path / "music", "a", "in/b")
    share = await stand.share(root)
    to_finish = ["in/new", "fresh/new"]

    async def finish(work: str) -> None:
        while work == "next_batch" and to_finish:
            file = make_tree(root, path := to_finish.pop()) / path
            await stand.stock.adopt(str(file), hashes_of(file))

    monkeypatch.setattr(stand.stock, "_offload", Interrupted(after=finish))
    await stand.stock.look(share)
    assert await stand.paths() == {"music/a", "music/in/b", "music/in/new", "music/fresh/new"}
    assert (await stand.standing()).hashed == 2


async def test_a_look_that_is_cancelled_leaves_whole_rows(stand: Stand, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", *(f"{n}/f" for n in range(5)))
    share = await stand.stock.add(str(root))
    with trio.CancelScope() as scope:
        stand.stock._on_touched = lambda numbers: scope.cancel()
        await stand.stock.look(share)
    again = Stand(stand.library, Rules())
    await again.stock.load()
    await again.stock.look(share)
    assert (await again.standing()).files == 5


def test_what_is_inside_a_folder() -> None:
    assert path_inside("/a/b", "/a/b/c/d") == "c/d"
    assert path_inside("/a/b", "/a/b") == ""
    assert path_inside("/a/b", "/a/bc") == ""
    assert path_inside("/a/b", "/a") == ""
    assert path_inside("/a/b", "/a/b/..c") == "..c"
