"""libtorrent, the library beneath qBittorrent and Deluge, as it comes: over TCP, plain or with its RC4.

Both ends run all the time; what is timed is adding the torrent, connecting, and fetching. The seed has hashed
the file before.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from scripts.bench.programs.processes import cpu_s, run_to_end, running
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer

HOST = "127.0.0.1"
END = Path(__file__).with_name("torrent_end.py")
TOOL = Tool("libtorrent", ("python", "-c", "import libtorrent; print(libtorrent.__version__)"))
MAKE = """
import sys, libtorrent
files = libtorrent.file_storage()
libtorrent.add_files(files, sys.argv[1])
torrent = libtorrent.create_torrent(files, flags=libtorrent.create_torrent.v1_only)
libtorrent.set_piece_hashes(torrent, sys.argv[2])
open(sys.argv[3], "wb").write(libtorrent.bencode(torrent.generate()))
"""


def over_torrent(cipher: str) -> Callable[[Place], AbstractContextManager[Transfer]]:
    @contextmanager
    def start(place: Place) -> Iterator[Transfer]:
        python, log, torrent = place.tools / "python", place.folder / "log", place.folder / "torrent"
        shared, arriving = place.shared, place.sub("arriving")
        run_to_end([python, "-c", MAKE, place.source, shared, torrent], log)
        seed = [python, END, "seed", torrent, shared, HOST, "0", cipher]
        with running(seed, log, stdout=subprocess.PIPE) as sender:
            port = _line(sender)
            fetch = [python, END, "fetch", torrent, arriving, HOST, port, cipher]
            with running(fetch, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as receiver:
                _line(receiver)

                def transfer() -> Run:
                    assert receiver.stdin is not None
                    before = cpu_s(sender.pid), cpu_s(receiver.pid)
                    receiver.stdin.write("\n")
                    receiver.stdin.flush()
                    seconds = float(_line(receiver))
                    after = cpu_s(sender.pid), cpu_s(receiver.pid)
                    place.take(arriving / place.source.name)
                    return Run(seconds, after[0] - before[0], after[1] - before[1])

                yield transfer

    return start


def _program(name: str, group: Group, cipher: str) -> Program:
    install = "pip install libtorrent, into the environment of the benchmark"
    return Program(name, group, (TOOL,), install, over_torrent(cipher))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise ChildProcessError("An end of the BitTorrent transfer ended.")
    return line


PROGRAMS = (
    _program("libtorrent, RC4", Group.VERIFIED, "rc4"),
    _program("libtorrent, plain", Group.PLAIN, "plain"),
)
