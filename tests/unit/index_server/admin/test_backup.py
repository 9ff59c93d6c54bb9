from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from index_server import store
from index_server.admin.backup import back_up, restore
from index_server.server import DATABASE_FILE, IDENTITY_FILE, SNAPSHOT_FILE, claim_folder, server_identity
from p2pshare.database import open_database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId, load_identity

ANNA = NodeId(b"a" * 32)


async def make_server(folder: Path) -> None:
    """With one account."""
    folder.mkdir(exist_ok=True)
    server_identity(folder)
    async with open_database(folder / DATABASE_FILE, store.MIGRATIONS, threads=False) as database:
        await database.write(store.add_account, ANNA, "anna", "anna", 1)


def nicks(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        return [nick for (nick,) in database.execute("SELECT nick FROM account")]


async def test_a_backup_made_while_the_server_writes_brings_it_back_elsewhere(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "today.backup"
    await make_server(here)
    async with open_database(here / DATABASE_FILE, store.MIGRATIONS, threads=False) as database:
        await database.write(store.add_account, NodeId(b"b" * 32), "bert", "bert", 1)
        assert back_up(here, file).accounts == 2
        await database.write(store.add_account, NodeId(b"c" * 32), "carl", "carl", 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert restore(file, there, replace=False).accounts == 2
    assert nicks(there) == ["anna", "bert"]
    key = load_identity(there / IDENTITY_FILE, None)
    assert key.node_id == load_identity(here / IDENTITY_FILE, None).node_id
    assert {stat.S_IMODE((there / name).stat().st_mode) for name in (DATABASE_FILE, IDENTITY_FILE)} == {0o600}
    async with open_database(there / DATABASE_FILE, store.MIGRATIONS, threads=False) as database:
        assert await database.read(store.account_by_node, ANNA) is not None


async def test_nothing_is_ever_replaced_unless_told_and_then_it_is_kept(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "today.backup"
    await make_server(here)
    back_up(here, file)
    with pytest.raises(LocalTrouble, match="never replaces a file"):
        back_up(here, file)
    there.mkdir()
    other = server_identity(there)
    (there / SNAPSHOT_FILE).write_bytes(b"of the other")
    with pytest.raises(LocalTrouble, match="say --replace"):
        restore(file, there, replace=False)
    restore(file, there, replace=True)
    assert nicks(there) == ["anna"]
    assert not (there / SNAPSHOT_FILE).exists()
    assert load_identity(there / f"{IDENTITY_FILE}.old", None).node_id == other.node_id


async def test_a_running_server_is_not_restored_over(tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "today.backup"
    await make_server(here)
    back_up(here, file)
    with claim_folder(here), pytest.raises(LocalTrouble, match="is running on"):
        restore(file, here, replace=True)
    assert nicks(here) == ["anna"]


async def test_what_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "today.backup"
    await make_server(here)
    back_up(here, file)
    whole = file.read_bytes()
    with closing(sqlite3.connect(tmp_path / "no-key")) as other, other:
        other.execute("CREATE TABLE account (id)")
    with closing(sqlite3.connect(tmp_path / "newer")) as newer, newer:
        newer.execute("CREATE TABLE server_key (content)")
        newer.execute("PRAGMA user_version = 99")
    (tmp_path / "text").write_text("no database" * 100)
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    for name, words in (
        ("missing", "There is no file"),
        ("text", "not a database of this program"),
        ("cut", "damaged"),
        ("no-key", "holds no key"),
        ("newer", "newer version"),
    ):
        with pytest.raises(LocalTrouble, match=words):
            restore(tmp_path / name, here, replace=True)
    assert nicks(here) == ["anna"]
    assert sorted(path.name for path in here.iterdir() if path.suffix in (".new", ".old")) == []


async def test_a_backup_with_a_broken_key_replaces_none(tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "today.backup"
    await make_server(here)
    mine = load_identity(here / IDENTITY_FILE, None).node_id
    back_up(here, file)
    with closing(sqlite3.connect(file)) as broken, broken:
        broken.execute("UPDATE server_key SET content = x'00'")
    with pytest.raises(LocalTrouble):
        restore(file, here, replace=True)
    assert load_identity(here / IDENTITY_FILE, None).node_id == mine


def test_a_folder_without_a_server_cannot_be_backed_up(tmp_path: Path) -> None:
    with pytest.raises(LocalTrouble, match="There is no index server in"):
        back_up(tmp_path, tmp_path / "today.backup")
