"""Syncthing: one device that has the file, and for each run a new one that has nothing yet.

The file is hashed by the one who has it before; what is timed is from the moment the other begins to pull the
file until it has finished it, so starting, connecting and exchanging indexes are left out. Nobody is asked
for other devices, for relays or for updates.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.bench.programs.processes import PATIENCE_S, cpu_s, free_port, run_to_end, running, until
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer

HOST = "127.0.0.1"
KEY = "bench"
FOLDER = "bench"
QUIET = {"STNOUPGRADE": "1", "STNORESTART": "1", "STNODEFAULTFOLDER": "1"}
CONFIG = """
<configuration version="35">
  <folder id="{folder}" label="{folder}" path="{path}" type="{type}" rescanIntervalS="0"
          fsWatcherEnabled="false"><device id="{me}"/><device id="{other}"/>
    <minDiskFree unit="%">0</minDiskFree></folder>
  <device id="{me}" name="me"><address>dynamic</address></device>
  <device id="{other}" name="other"><address>tcp://{host}:{other_port}</address></device>
  <gui enabled="true" tls="false"><address>{host}:{gui_port}</address><apikey>{key}</apikey></gui>
  <options>
    <listenAddress>tcp://{host}:{port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <stunKeepaliveStartS>0</stunKeepaliveStartS>
    <startBrowser>false</startBrowser>
    <urAccepted>-1</urAccepted>
    <crashReportingEnabled>false</crashReportingEnabled>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <reconnectionIntervalS>1</reconnectionIntervalS>
    <setLowPriority>false</setLowPriority>
  </options>
</configuration>
"""


@dataclass(frozen=True)
class Device:
    """A home with keys, and where it listens."""

    home: Path
    name: str
    port: int
    gui_port: int

    def configure(self, other: Device, shared: Path, kind: str) -> None:
        config = CONFIG.format(
            **{"me": self.name, "other": other.name, "other_port": other.port, "port": self.port},
            **{"gui_port": self.gui_port, "host": HOST, "key": KEY},
            **{"folder": FOLDER, "path": shared, "type": kind},
        )
        (self.home / "config.xml").write_text(config)
        (shared / ".stfolder").mkdir()

    @contextmanager
    def running(self, log: Path) -> Iterator[subprocess.Popen[str]]:
        with running(["syncthing", "serve", "--no-browser", "--home", self.home], log, env=QUIET) as process:
            until(lambda: self.ask("system/ping"), "syncthing answers")
            yield process

    def ask(self, what: str) -> Any:
        """The answer of its REST interface; None as long as nobody answers."""
        request = urllib.request.Request(f"http://{HOST}:{self.gui_port}/rest/{what}")
        request.add_header("X-API-Key", KEY)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except OSError:
            return None


def make_device(home: Path, log: Path) -> Device:
    run_to_end(["syncthing", "generate", "--home", home, "--no-default-folder"], log, env=QUIET)
    said = run_to_end(["syncthing", "--home", home, "--device-id"], log, env=QUIET).output
    name = re.search(r"([A-Z2-7]{7}-){7}[A-Z2-7]{7}", said)
    assert name is not None
    return Device(home, name[0], free_port(), free_port())


@contextmanager
def start(place: Place) -> Iterator[Transfer]:
    log = place.folder / "log"
    sender, receiver = make_device(place.sub("sender"), log), make_device(place.sub("receiver"), log)
    keys = place.folder / "receiver.keys"
    shutil.copytree(receiver.home, keys)
    sender.configure(receiver, place.shared, "sendonly")
    with sender.running(log) as sending:

        def hashed() -> bool | None:
            status = sender.ask(f"db/status?folder={FOLDER}")
            return (status["state"] == "idle" and status["localBytes"] > 0) or None

        until(hashed, "syncthing has hashed the file")

        def transfer() -> Run:
            shutil.rmtree(receiver.home)
            shutil.copytree(keys, receiver.home)
            arriving = place.sub("arriving")
            receiver.configure(sender, arriving, "receiveonly")
            try:
                with receiver.running(log) as receiving:
                    began = _until_event(receiver, "ItemStarted")
                    before = cpu_s(sending.pid), cpu_s(receiving.pid)
                    finished = _until_event(receiver, "ItemFinished")
                    after = cpu_s(sending.pid), cpu_s(receiving.pid)
                place.take(arriving / place.source.name)
            finally:
                shutil.rmtree(arriving)
            return Run((finished - began).total_seconds(), after[0] - before[0], after[1] - before[1])

        yield transfer


def _until_event(device: Device, kind: str) -> datetime:
    """When the first event of this kind since the start happened."""

    def look() -> datetime | None:
        events = device.ask("events?timeout=1") or ()
        times = [event["time"] for event in events if event["type"] == kind]
        return datetime.fromisoformat(times[0]) if times else None

    return until(look, f"syncthing tells {kind}", 0.05)


PROGRAM = Program(
    "syncthing",
    Group.VERIFIED,
    (Tool("syncthing", ("syncthing", "--version")),),
    "apt install syncthing",
    start,
)
