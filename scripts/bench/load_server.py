"""The index server of a load test, as an operator runs it, and the processes that put load on it."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pshare.identity import format_node_id
from p2pshare.links import Invite, parse_link_untrusted
from scripts.bench.load_tally import Tally
from scripts.bench.memory import resident_bytes
from scripts.bench.programs.p2pshare import ROOT
from scripts.bench.programs.processes import cpu_s, free_port, running

HOST = "127.0.0.1"
SAMPLE_EVERY_S = 1.0
HEARD_S = 0.5  # after which every process has read its order


class Server:
    """A `p2pshare-index` in a folder; started again, it has the same port and whatever it kept."""

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        """`settings`: "section.key=value" each."""
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "index.log"
        self._folder = folder
        self._settings = settings
        self._port = free_port()
        self._running: ExitStack | None = None
        self._pid = 0
        self.starting_s = 0.0

    def start(self) -> dict[str, Any]:
        """Where it can be reached, once it can."""
        flags = [
            part
            for setting in self._settings
            for part in ("--" + re.sub("[._]", "-", setting.partition("=")[0]), setting.partition("=")[2])
        ]
        command = [
            *(sys.executable, "-m", "index_server", "--server-data", self._folder / "data"),
            *("--server-hosts", HOST, "--server-port", str(self._port), "--server-announce", "false"),
            *("--log-format", "json", *flags),
        ]
        self.log.write_bytes(b"")
        began = time.monotonic()
        self._running = ExitStack()
        process = self._running.enter_context(
            running(command, self.log, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
        )
        assert process.stdout is not None
        found = (re.search(r"p2pshare:join\?[^' ]+", line) for line in process.stdout)
        text = next((match[0] for match in found if match), None)
        if text is None:
            raise ChildProcessError(f"The index server did not start: {self.log.read_text()[-500:]}")
        self.starting_s = time.monotonic() - began
        self._pid = process.pid
        invite = parse_link_untrusted(text)
        assert isinstance(invite, Invite)
        return {"host": HOST, "port": self._port, "node": format_node_id(invite.server)}

    def stop(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    @property
    def pid(self) -> int:
        return self._pid

    def cpu_s(self) -> float:
        return cpu_s(self._pid)

    def resident_bytes(self) -> int:
        return resident_bytes(self._pid)

    def said(self, event: str) -> dict[str, Any] | None:
        """What its log says of something; None if nothing."""
        return next((line for line in self._lines() if line.get("event") == event), None)

    def mistakes(self) -> list[str]:
        """What its log says went wrong."""
        return [str(line["event"]) for line in self._lines() if line.get("level") in ("error", "critical")]

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"level": "error", "event": line}


@contextmanager
def serving(folder: Path, settings: Sequence[str]) -> Iterator[Server]:
    """A server that is ended with the block, whoever started it last."""
    server = Server(folder, settings)
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class Outcome:
    """What came of an order to the crowds, and what it cost the server."""

    seconds: float
    results: tuple[dict[str, Any], ...]
    tally: Tally
    cpu_s: float
    memory: tuple[int, ...]
    """Samples of the server's, one a second."""


class Crowds:
    """The processes of a load test."""

    def __init__(
        self, processes: Sequence[subprocess.Popen[str]], server: Server, logs: Sequence[Path]
    ) -> None:
        self._processes = processes
        self._server = server
        self._logs = logs

    def __len__(self) -> int:
        return len(self._processes)

    def _last_words(self) -> str:
        return " ".join(log.read_text(errors="replace")[-500:] for log in self._logs)

    def do(self, *orders: dict[str, Any] | None, meanwhile: Callable[[], None] | None = None) -> Outcome:
        """Have every process carry out its order (one for all, or one each, None: nothing), until all have.

        `meanwhile` is called once they have been told.
        """
        each = orders if len(orders) > 1 else orders * len(self)
        began, cpu_before = time.monotonic(), self._server.cpu_s()
        busy = [process for process, order in zip(self._processes, each, strict=False) if order is not None]
        for process, order in zip(self._processes, each, strict=False):
            if order is not None:
                assert process.stdin is not None
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
        if meanwhile is not None:
            time.sleep(HEARD_S)
            meanwhile()
            cpu_before = 0.0  # it is another process now
        results, memory, tally = [], [], Tally()
        while busy:
            streams = [process.stdout for process in busy if process.stdout is not None]
            ready, _, _ = select.select(streams, [], [], SAMPLE_EVERY_S)
            memory.append(self._server.resident_bytes())
            for process in [process for process in busy if process.stdout in ready]:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    raise ChildProcessError(f"A process of the crowd has ended: {self._last_words()}")
                result = json.loads(line)
                tally.merge(Tally.from_json(result.pop("tally")))
                results.append(result)
                busy.remove(process)
        seconds = time.monotonic() - began
        used_s = self._server.cpu_s() - cpu_before
        return Outcome(seconds, tuple(results), tally, used_s, tuple(memory))


@contextmanager
def crowds(
    server: Server,
    where: dict[str, Any],
    folder: Path,
    *,
    processes: int,
    clients: int,
    files: float,
    names: int,
) -> Iterator[Crowds]:
    """So many processes with so many clients together."""
    started = []
    logs = [folder / f"crowd{number}.log" for number in range(processes)]
    with ExitStack() as stack:
        for number in range(processes):
            connections = clients // processes + (number < clients % processes)
            settings = {
                "server": where,
                "first": number << 20,
                "connections": connections,
                "files": files,
                "names": names,
            }
            command = [sys.executable, "-m", "scripts.bench.load_crowd", json.dumps(settings)]
            started.append(
                stack.enter_context(
                    running(
                        command,
                        logs[number],
                        env={"PYTHONPATH": str(ROOT)},
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                    )
                )
            )
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise ChildProcessError(f"A process of the crowd did not start: see {folder}.")
        yield Crowds(started, server, logs)
