"""A program that insists on a terminal gets one, and is typed to."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from scripts.bench.programs.processes import end, search_path, until

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\([A-Z0-9]|[=>78])")


class Terminal:
    """Made by `in_terminal`."""

    def __init__(self, process: subprocess.Popen[str], master: int) -> None:
        self.pid = process.pid
        self._master = master
        self._shown = ""
        threading.Thread(target=self._read, daemon=True).start()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until_shown(self, pattern: str) -> None:
        """Waits until something is shown, and forgets what was shown until then."""
        until(lambda: re.search(pattern, self._shown), f'"{pattern}" is shown')
        self._shown = ""

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the program ended
                return
            self._shown = (self._shown + ESCAPES.sub(" ", data.decode(errors="replace")))[-(1 << 16) :]


@contextmanager
def in_terminal(command: Sequence[object], env: Mapping[str, str]) -> Iterator[Terminal]:
    """A process that runs while the block does."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "PATH": search_path(), "TERM": "vt100", **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            text=True,
            start_new_session=True,
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        end(process)
        os.close(master)
