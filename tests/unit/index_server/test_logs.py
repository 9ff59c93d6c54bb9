"""What a log may contain, and in which form."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from index_server import logs


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def test_json_lines_name_the_event_and_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.stdlib.get_logger("index_server.x").info("registered", account=7)
    logging.getLogger("p2pshare.y").info("from %s", "there")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["account"], first["logger"]) == ("registered", 7, "index_server.x")
    assert second["event"] == "from there"


def test_a_strangers_words_stay_on_one_line_and_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "debug")
    logging.getLogger("p2pshare.y").debug("ended: %s", "bye\nforged \x1b[2J line")
    [line] = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line and r"bye\nforged" in line


def test_libraries_may_only_warn(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "debug")
    logging.getLogger("aiosqlite").debug("every row")
    logging.getLogger("aiosqlite").warning("trouble")
    [line] = capsys.readouterr().err.splitlines()
    assert "trouble" in line


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "warning")
    structlog.stdlib.get_logger("index_server.z").info("registered")
    assert capsys.readouterr().err == ""


def test_mistakes_of_our_own_come_with_their_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        logs.configure(form, "info")
        try:
            raise ZeroDivisionError("by zero")
        except ZeroDivisionError:
            logging.getLogger("p2pshare.serve").exception("failed")
        said = capsys.readouterr().err
        assert "by zero" in said and "Traceback" in said
