"""Reading tags in a process that may be lost: `python -m` this module, and who talks to it.

They speak in lines of JSON. To the worker: [root of the share, part of the path, ...]. From it: "ready" once,
then the fields of `Tags` for each file. A file at which the worker dies or dawdles has no tags at all;
the next one gets a new worker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, Protocol

from client.engine.beneath import open_file_beneath
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.limits import GIB
from p2pshare.wire.fields import NO_TAGS, Tags
from p2pshare.wire.schema import dump, load_untrusted

FILE_S = 10  # for one file; a slow disk takes one second
START_S = 30  # until the worker is ready, on a machine that has just booted
MEMORY_BYTES_MAX = 2 * GIB
READY = "ready"
COMMAND = (sys.executable, "-m", "client.engine.shares.tag_worker")


class TagReader(Protocol):
    """What `Shares` needs to read tags."""

    def read(self, files: Sequence[tuple[str, Sequence[str]]]) -> list[Tags]:
        """The tags of each file, given as (root of the share, parts of the path). Blocks.

        Raises LocalTrouble if tags cannot be read on this machine at all.
        """

    def interrupt(self) -> None:
        """Called from another thread: let `read` come to an end at once."""

    def close(self) -> None: ...


class TagWorker:
    """The real one. Used by one thread at a time, but for `interrupt`."""

    def __init__(self, command: Sequence[str] = COMMAND, file_s: float = FILE_S) -> None:
        self._command = command
        self._file_s = file_s
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def read(self, files: Sequence[tuple[str, Sequence[str]]]) -> list[Tags]:
        return [self._read_one([root, *parts]) for root, parts in files]

    def interrupt(self) -> None:
        self._interrupted = True
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        if self._process is not None:
            self._discard(self._process)
        self._interrupted = False

    def _read_one(self, path: list[str]) -> Tags:
        if self._interrupted:
            return NO_TAGS
        process = self._process or self._start()
        answer = self._exchange(process, path, self._file_s)
        try:
            return load_untrusted(Tags, answer)
        except BadMessage:
            self._discard(process)
            return NO_TAGS

    def _discard(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
        self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the engine
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except OSError as error:
            raise LocalTrouble(f"Tags of files cannot be read: {error.strerror}.") from error
        if self._exchange(self._process, None, START_S) != READY:
            self._discard(self._process)
            raise LocalTrouble("Tags of files cannot be read: the program for it does not start.")
        return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], request: list[str] | None, timeout_s: float
    ) -> object:
        """The answer; None if the worker dies or takes too long, in which case it is made to die."""
        assert process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(timeout_s, process.kill)
        watchdog.start()
        try:
            if request is not None:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            answer: object = json.loads(process.stdout.readline())
            return answer
        except (OSError, ValueError):
            return None
        finally:
            watchdog.cancel()


# --- inside the worker -------------------------------------------------------------------------------


def main() -> None:
    from client.engine.shares.tags import read_tags  # loads libmediainfo: not wanted in the engine

    _be_modest()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # should the library print something, it is not taken for an answer
    answers.write(json.dumps(READY).encode() + b"\n")
    for line in sys.stdin.buffer:
        root, *parts = json.loads(line)
        if hasattr(signal, "alarm"):
            signal.alarm(2 * FILE_S)  # ends the worker even if the engine is gone
        tags = NO_TAGS
        with suppress(OSError), _opened(root, parts) as file:
            tags = read_tags(file)
        answers.write(json.dumps(dump(tags)).encode() + b"\n")


@contextmanager
def _opened(root: str, parts: list[str]) -> Iterator[BinaryIO]:
    with open(open_file_beneath(root, parts), "rb") as file:
        yield file


def _be_modest() -> None:
    """Whatever the library does, the machine stays usable."""
    if sys.platform != "win32":
        import resource

        os.nice(10)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


if __name__ == "__main__":
    main()
