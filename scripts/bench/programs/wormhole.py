"""magic-wormhole with a mailbox server of its own; the bytes go directly, without a relay.

The sender waits with its code when the receiver starts. What is timed begins when the receiver has been
offered the file, so that starting Python and agreeing on a key are left out.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.programs.processes import (
    cpu_s,
    free_port,
    running,
    until,
    until_listening,
)
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer

HOST = "127.0.0.1"
OFFERED = "Receiving file"
MAILBOX_VERSION = "from importlib.metadata import version; print(version('magic-wormhole-mailbox-server'))"


@contextmanager
def start(place: Place) -> Iterator[Transfer]:
    port, log, target = free_port(), place.folder / "log", place.folder / "arrived"
    mailbox = place.sub("mailbox")
    endpoint = f"tcp:{port}:interface={HOST}"
    serve = [place.tools / "twist", "wormhole-mailbox", f"--port={endpoint}"]
    common = [place.tools / "wormhole", f"--relay-url=ws://{HOST}:{port}/v1", "--transit-helper="]
    number = 0
    with running([*serve, f"--channel-db={mailbox / 'db'}"], log, cwd=mailbox):
        until_listening(HOST, port)

        def transfer() -> Run:
            nonlocal number
            number += 1
            code = f"{number}-bench-mark"
            send = [*common, "send", "--hide-progress", f"--code={code}", place.source]
            receive = [*common, "receive", "--hide-progress", "--no-listen", "--accept-file"]
            said, told = place.folder / f"sender{number}", place.folder / f"receiver{number}"
            with running(send, said) as sender:
                until(lambda: code in said.read_text() or None, "the sender waits")
                with running([*receive, "-o", target, code], told) as receiver:
                    until(lambda: OFFERED in told.read_text() or None, "the file is offered", 0.002)
                    began = time.perf_counter()
                    before = cpu_s(sender.pid), cpu_s(receiver.pid)
                    used = _end(receiver, told)
                    seconds = time.perf_counter() - began
                    used_by_sender = _end(sender, said)
            place.take(target)
            return Run(seconds, used_by_sender - before[0], used - before[1])

        yield transfer


def _end(process: subprocess.Popen[str], log: Path) -> float:
    """Waits for it. The processor seconds of its whole life. Raises ChildProcessError."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildProcessError(f"magic-wormhole failed: {log.read_text()[-500:]}")
    return used.ru_utime + used.ru_stime


PROGRAM = Program(
    "magic-wormhole",
    Group.VERIFIED,
    (
        Tool("magic-wormhole", ("wormhole", "--version")),
        Tool("mailbox server", ("python", "-c", MAILBOX_VERSION)),
    ),
    "pip install magic-wormhole magic-wormhole-mailbox-server, into the environment of the benchmark",
    start,
)
