"""What operators are given is true: guide, unit, container and dashboard agree with the program."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from index_server.__main__ import main
from index_server.config import ENVIRONMENT_PREFIX, keys

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "index_server" / "deploy"
GUIDE = ROOT / "index_server" / "README.md"
PAPERS = [GUIDE, *sorted(DEPLOY.iterdir())]
WORDS_MAX = 1_500  # two pages, and the capacity table


def read(paper: Path) -> str:
    return paper.read_text(encoding="utf-8")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_setting_that_is_named_exists(paper: Path) -> None:
    known = {ENVIRONMENT_PREFIX + key.replace(".", "_").upper() for key in keys()}
    assert set(re.findall(rf"{ENVIRONMENT_PREFIX}[A-Z_]+", read(paper))) - known == set()
    sections = {key.partition(".")[0] for key in keys()}
    named = re.findall(r"`(\w+\.\w+)`", read(paper))
    assert {name for name in named if name.partition(".")[0] in sections} - keys().keys() == set()


def test_every_command_of_the_guide_exists_and_every_admin_command_is_in_it() -> None:
    text = read(GUIDE)
    admin = main.commands["admin"]
    assert isinstance(admin, click.Group)
    for words in re.findall(r"admin ((?:[a-z_]+ ?)+)", text):
        group: click.Command = admin
        for word in words.split():
            if not isinstance(group, click.Group):
                break
            assert word in group.commands, words
            group = group.commands[word]
    assert [name for name in admin.commands if f"admin {name}" not in text] == []


def test_the_guide_has_two_pages_and_a_place_for_the_capacity_table() -> None:
    text = re.sub(r"<!-- capacity -->.*?<!-- end -->", "", read(GUIDE), flags=re.DOTALL)
    assert len(text) < len(read(GUIDE))
    assert len(text.split()) <= WORDS_MAX


@pytest.mark.parametrize("link", re.findall(r"\]\((deploy/[^)]+)\)", read(GUIDE)))
def test_every_file_that_the_guide_points_to_is_there(link: str) -> None:
    assert (GUIDE.parent / link).is_file()


def test_the_panels_of_the_dashboard_stand_side_by_side() -> None:
    panels = json.loads(read(DEPLOY / "grafana.json"))["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("systemd is not installed: nothing can check the unit.")
    unit = tmp_path / "p2pshare-index.service"
    unit.write_text(
        read(DEPLOY / unit.name).replace("/opt/p2pshare/bin/p2pshare-index", shutil.which("true") or "")
    )
    checked = subprocess.run(
        [systemd, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=30
    )
    assert [line for line in checked.stderr.splitlines() if unit.name in line] == []
