"""Processes of others: started, watched until they are ready, ended by their id, and what they cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 120.0
ENDING_S = 10.0
LOOK_PAUSE_S = 0.01


def search_path(tools: Path | None = None) -> str:
    """Where commands are looked for: servers lie in /usr/sbin, which is not on everybody's path."""
    return ":".join([*([str(tools)] if tools else []), os.environ.get("PATH", ""), "/usr/sbin"])


@contextmanager
def running(
    command: Sequence[object],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process that runs while the block does. What it prints goes to `log`, unless `stdout` is a pipe."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "PATH": search_path(), **(env or {})},
            cwd=cwd,
            stdin=stdin,
            stdout=output if stdout is None else stdout,
            stderr=output,
            text=True,
            start_new_session=True,  # Ctrl-C reaches this program only, which then ends the others
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ends a process and what it started."""
    started = family(process.pid) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


@dataclass(frozen=True)
class Ended:
    """How a command went."""

    seconds: float
    cpu_s: float  # of it and of everything that it started
    output: str


def run_to_end(command: Sequence[object], log: Path, *, env: Mapping[str, str] | None = None) -> Ended:
    """Runs one command. Raises ChildProcessError."""
    began = time.perf_counter()
    with running(command, log, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildProcessError(f"{command[0]} failed: {log.read_text(errors='replace')[-500:]}")
    return Ended(seconds, used.ru_utime + used.ru_stime, output)


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and of everything that it started, living or ended."""
    ticks = 0
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own, then those of children it has waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and everything living that it started."""
    found = [pid]
    for parent in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def until(look: Callable[[], T | None], what: str, pause_s: float = LOOK_PAUSE_S) -> T:
    """The first thing that `look` finds. Raises TimeoutError."""
    patience = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        if time.monotonic() > patience:
            raise TimeoutError(f"Waited in vain until {what}.")
        time.sleep(pause_s)
    return found


def until_listening(host: str, port: int) -> None:
    """Waits until somebody accepts connections there."""

    def look() -> bool | None:
        try:
            with socket.create_connection((host, port), timeout=1):
                return True
        except OSError:
            return None

    until(look, f"somebody listens on {host}, port {port}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
