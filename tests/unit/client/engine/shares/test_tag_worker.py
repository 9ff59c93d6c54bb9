"""The real worker on real files, and workers that misbehave as libmediainfo can."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.engine.shares.tag_worker import TagWorker
from p2pshare.errors import LocalTrouble
from p2pshare.wire.fields import NO_TAGS, Tags
from tests.media_samples import flac, mp3, png, wav

READY = "print('\"ready\"', flush=True)\n"
ECHO = READY + (
    "import json, os, sys, time\n"
    "for line in sys.stdin:\n"
    "    root, name = json.loads(line)\n"
    "    if name == 'crash': os.abort()\n"
    "    if name == 'hang': time.sleep(1000)\n"
    "    print('nonsense' if name == 'nonsense' else json.dumps([name]), flush=True)\n"
)


def worker_of(program: str, file_s: float = 10) -> TagWorker:
    return TagWorker([sys.executable, "-c", program], file_s)


@pytest.fixture
def worker() -> Iterator[TagWorker]:
    worker = TagWorker()
    yield worker
    worker.close()


def test_tags_come_from_a_process_of_its_own(worker: TagWorker, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.flac").write_bytes(flac(3, TITLE="Jóga"))
    (tmp_path / "b.png").write_bytes(png(4, 5))
    root = str(tmp_path)
    assert worker.read([(root, ["in", "a.flac"]), (root, ["gone.mp3"]), (root, ["b.png"])]) == [
        Tags(title="Jóga", length_s=3, lossless=True),
        NO_TAGS,
        Tags(width=4, height=5),
    ]


def test_a_link_says_nothing(worker: TagWorker, tmp_path: Path) -> None:
    (tmp_path / "outside.flac").write_bytes(flac(3, TITLE="Secret"))
    share = tmp_path / "share"
    share.mkdir()
    (share / "a.flac").symlink_to(tmp_path / "outside.flac")
    assert worker.read([(str(share), ["a.flac"])]) == [NO_TAGS]


def test_damaged_files_never_harm_us(worker: TagWorker, tmp_path: Path) -> None:
    chance = random.Random(5)
    samples = [wav(), flac(3, TITLE="a" * 50), mp3(1, TIT2="b" * 50), png(50, 50)]
    files = []
    for number in range(40):
        content = bytearray(chance.choice(samples))
        for _ in range(chance.choice([0, 3, 30])):
            content[chance.randrange(min(len(content), 200))] = chance.randrange(256)
        name = f"{number}.mp3"
        (tmp_path / name).write_bytes(content[: chance.randrange(len(content))])
        files.append((str(tmp_path), [name]))
    assert len(worker.read(files)) == 40
    (tmp_path / "good.png").write_bytes(png(4, 5))
    assert worker.read([(str(tmp_path), ["good.png"])]) == [Tags(width=4, height=5)]


@pytest.mark.parametrize("bad", ["crash", "nonsense"])
def test_a_file_that_kills_the_worker_says_nothing_and_the_next_one_gets_another(bad: str) -> None:
    worker = worker_of(ECHO)
    assert worker.read([("/", ["a"]), ("/", [bad]), ("/", ["b"])]) == [
        Tags(title="a"),
        NO_TAGS,
        Tags(title="b"),
    ]
    worker.close()


def test_a_file_that_keeps_the_worker_busy_is_given_up() -> None:
    worker = worker_of(ECHO, file_s=0.2)
    assert worker.read([("/", ["hang"])]) == [NO_TAGS]
    assert worker._process is None
    worker.close()


def test_a_worker_that_does_not_start_is_told() -> None:
    for program in ("raise SystemExit(1)", "print('no')"):
        with pytest.raises(LocalTrouble):
            worker_of(program).read([("/", ["a"])])
    with pytest.raises(LocalTrouble):
        TagWorker(["/nonexistent/program"]).read([("/", ["a"])])


def test_reading_can_be_interrupted_from_another_thread() -> None:
    worker = worker_of(ECHO)
    assert worker.read([("/", ["a"])]) == [Tags(title="a")]
    results: list[list[Tags]] = []
    thread = threading.Thread(target=lambda: results.append(worker.read([("/", ["hang"]), ("/", ["b"])])))
    thread.start()
    worker.interrupt()
    thread.join(10)
    assert results == [[NO_TAGS, NO_TAGS]]
    worker.close()
    assert worker.read([("/", ["c"])]) == [Tags(title="c")]
    worker.close()
