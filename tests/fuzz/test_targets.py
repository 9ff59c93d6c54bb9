"""Every door, tried with its corpus, with damaged pieces of it and with anything at all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.corpus import corpus
from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("p2pshare", "index_server", "client")


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_holds(name: str) -> None:
    @settings(suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(inputs(name))
    def fuzz(data: bytes) -> None:
        TARGETS[name](data)

    fuzz()


def test_every_door_has_a_target() -> None:
    """Functions whose name says that they take a stranger's bytes are called by a target, or below one."""
    doors = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.endswith(
                    "_untrusted"
                ):
                    doors.add(node.name)
    known = (ROOT / "tests" / "fuzz" / "targets.py").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+_untrusted", known))
    assert {door for door in doors - named - BELOW if not door.startswith("_")} == set()


# Reached through a target of the layer above.
BELOW = {
    "id_bytes_untrusted",  # ids
    "read_introduction_untrusted",  # introduction
    "check_payload_record_untrusted",  # frames
    "peek_kind_untrusted",  # decode, frames
    "frame_max_untrusted",
    "cut_untrusted",  # stream, frames
    "receive_untrusted",
    "read_untrusted",
    "open_untrusted",
    "open_run_untrusted",
    "waited_s_untrusted",  # queue tickets
    "filter_untrusted",  # query
    "within_untrusted",
    "with_extension_untrusted",
    "header_untrusted",  # player
    "parse_range_untrusted",
}
