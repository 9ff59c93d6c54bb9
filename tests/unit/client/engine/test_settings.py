from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from client.engine.declared import changed, declarations
from client.engine.settings import Settings, load_settings, save_settings
from p2pshare.addresses import Address
from p2pshare.errors import LocalTrouble
from p2pshare.identity import Identity
from p2pshare.links import Invite, format_link

INVITE = format_link(
    Invite(Identity.from_seed(b"s" * 32).node_id, (Address("example.org", 4000),), "The Index")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def test_a_new_file_has_every_setting_with_its_comment_and_reads_back(path: Path) -> None:
    settings = Settings(nick="anna", servers=(INVITE,), listen_port=4001)
    save_settings(path, settings)
    assert load_settings(path) == settings
    lines = path.read_text().splitlines()
    for declared in declarations(Settings).values():
        table, _, name = declared.name.rpartition(".")
        begin = lines.index(f"[{table}]") if table else 0
        number = next(n for n, line in enumerate(lines[begin:], begin) if line.startswith(f"{name} = "))
        assert f"# {declared.doc}" in (lines[number - 1], lines[number][-len(declared.doc) - 2 :])


def test_a_new_file_of_nothing_chosen_means_the_defaults(path: Path) -> None:
    save_settings(path, Settings())
    assert load_settings(path) == Settings()


def test_what_the_person_wrote_survives_a_change(path: Path) -> None:
    path.write_text('# mine\nnick = "anna" # my name\n\nexclude = [\n  "*.bak", # old stuff\n]\n')
    save_settings(path, replace(load_settings(path), nick="bert"))
    assert path.read_text() == '# mine\nnick = "bert" # my name\n\nexclude = [\n  "*.bak", # old stuff\n]\n'


def test_a_setting_that_was_not_in_the_file_is_added(path: Path) -> None:
    path.write_text('nick = "anna"\n')
    save_settings(path, replace(load_settings(path), servers=(INVITE,)))
    assert load_settings(path).servers == (INVITE,)


def test_a_setting_in_a_table_is_changed_there_and_nothing_else(path: Path) -> None:
    path.write_text("[groups.trusted] # friends\nslots = 3 # enough\n\n# the end\n")
    settings = load_settings(path)
    assert settings.groups.trusted.slots == 3 and settings.groups.contacts.slots == 2
    save_settings(path, changed(settings, {"groups.trusted.slots": 5, "groups.everyone.daily_quota": 700}))
    text = path.read_text()
    assert text.startswith("[groups.trusted] # friends\nslots = 5 # enough\n\n# the end\n")
    assert load_settings(path).groups.everyone.daily_quota == 700


def test_the_file_is_for_its_owner_only_and_no_draft_is_left(path: Path) -> None:
    save_settings(path, Settings())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("upload_slot = 4", 'no setting "upload_slot". Did you mean "upload_slots"?'),
        ("zzz = 4", "There are: nick, download_folder"),
        ("upload_slots = true", '"upload_slots" must be a whole number'),
        ("upload_slots = 0", "from 1 to 100"),
        ("[groups.contacts]\nslots = 0", '"groups.contacts.slots" does not fit'),
        ("[groups.everyone]\nslots = 1", 'no setting "groups.everyone.slots"'),
        ("[groups.strangers]\nopen_files = 1", 'no setting "groups.strangers"'),
        ("groups = 4", 'no setting "groups"'),
        ('schedule = ["mon 8-9 up=1"]', "followed by the times"),
        ("lan = 1", '"lan" must be true or false'),
        ("listen_port = 65536", "from 0 to 65535"),
        ('nick = "a b"', "is not"),
        ("exclude = [1]", "must be a list of texts"),
        ('exclude = [""]', "empty pattern"),
        ('download_folder = ""', "Name a folder"),
        ('servers = ["p2pshare:join"]', "is no invite"),
        (
            'servers = ["magnet:?xt=urn:p2pshare:' + "a" * 52 + '&dn=x&xl=1"]',
            "link to a file, not an invite",
        ),
        ("nick = ", "line 1 is not valid TOML"),
        ("lan = true\nlan = true", "not valid TOML"),
        ('"\x1b[2J" = 1', "valid TOML"),
    ],
)
def test_a_bad_file_is_refused_in_words(path: Path, text: str, sentence: str) -> None:
    path.write_text(text)
    with pytest.raises(LocalTrouble) as caught:
        load_settings(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused_in_words(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LocalTrouble, match="not UTF-8"):
        load_settings(path)


def test_a_missing_file_is_told(path: Path) -> None:
    with pytest.raises(LocalTrouble, match="No such file"):
        load_settings(path)


def test_a_value_that_breaks_its_rule_is_not_saved(path: Path) -> None:
    save_settings(path, Settings(nick="anna"))
    with pytest.raises(LocalTrouble, match="from 1 to 100"):
        save_settings(path, Settings(upload_slots=0))
    assert load_settings(path) == Settings(nick="anna")
