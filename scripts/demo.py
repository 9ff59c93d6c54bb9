#!/usr/bin/env python3
"""The main job on loopback, as people would do it: an index server and five people, each a process of its
own.

Four people share files, all four hold one recording of 256 MiB. A fifth finds it with an ordinary query and
fetches it from all of them at once; half way, one of the four is killed. In the end the SHA-256 of original
and copy are compared by hashlib, which knows nothing of this project.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from client.cli import words  # noqa: E402
from client.engine.control import connect_running  # noqa: E402
from client.engine.face import Face  # noqa: E402
from client.engine.profile import Profile  # noqa: E402
from client.engine.settings import load_settings, save_settings  # noqa: E402
from client.engine.status import DownloadView  # noqa: E402

RECORDING = "Sea at Night (field recording).wav"
RECORDING_BYTES = 256 << 20
RATE_KIB_S = 24 << 10  # each of the four uploads at most so fast, so that there is something to watch
PATIENCE_S = 120.0  # for anything that should take seconds
PEOPLE = ("alice", "bob", "carol", "dave")
VICTIM = "dave"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the files and say where they are")
    keep = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="p2pshare-demo-"))
    try:
        with running() as processes:
            return trio.run(demonstrate, folder, processes)
    except KeyboardInterrupt:
        print("Stopped.")
        return 130
    finally:
        if keep:
            print(f"The files are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def demonstrate(folder: Path, processes: dict[str, subprocess.Popen[str]]) -> int:
    say("Making files: audio with tags, documents, one recording of 256 MiB ...")
    original = folder / "original" / RECORDING
    make_recording(original)
    for person in PEOPLE:
        make_share(folder / person / "share", person, original)
    expected = sha256(original)

    say("Starting an index server and four people, each a process of its own, on 127.0.0.1 ...")
    processes["index"] = start("index_server", folder, "--server-data", str(folder / "index"),
                               "--server-hosts", "127.0.0.1", "--server-port", "0",
                               "--server-announce", "false", "--web-port", "0", "--log-level", "error",
                               stdout=subprocess.PIPE)  # fmt: skip
    invite = read_invite(processes["index"])
    started = time.monotonic()
    async with trio.open_nursery() as nursery:
        for person in (*PEOPLE, "erin"):
            share = folder / person / "share" if person in PEOPLE else None
            nursery.start_soon(trio.to_thread.run_sync, init, folder, person, invite, share)
    for person in PEOPLE:
        processes[person] = start("client", folder, "--profile", profile_of(folder, person), "serve")
    for person in PEOPLE:
        await until_published(folder, person)
    say(f"Four people online, everything shared and hashed after {time.monotonic() - started:.1f} s.\n")

    run_shown(folder, "search", "sea", "night")
    run_shown(folder, "search", "blue", "train", "--kind", "audio")

    limit = f"each uploads at most {RATE_KIB_S >> 10} MiB/s"
    say(f"Erin downloads it ({limit}); {VICTIM} will be killed half way.")
    run_quietly(folder, "search", "sea", "night")
    getting = start("client", folder, "--profile", profile_of(folder, "erin"), "get", "1", stdout=None)
    processes["erin"] = getting
    last = await watch(folder, getting, processes)

    copy = folder / "erin" / "profile" / "downloads" / RECORDING
    actual = sha256(copy) if copy.is_file() else "no file"
    if getting.returncode != 0 or last is None or last.finished_at is None or actual != expected:
        print(
            f"\nFailed: exit code {getting.returncode}, SHA-256 of the copy: {actual}, expected {expected}."
        )
        return 1
    say("\nWho served how much:")
    for source in sorted(last.sources, key=lambda one: -one.done_bytes):
        killed = " (killed half way)" if source.nick == VICTIM else ""
        say(f"  {source.nick:<6} {words.size(source.done_bytes):>10}{killed}")
    seconds = (last.finished_at or 0.0) - last.added_at
    say(f"SHA-256 of the original  {expected}")
    say(f"SHA-256 of the copy      {actual}")
    givers = sum(1 for source in last.sources if source.done_bytes)
    say(
        f"Proven: {RECORDING_BYTES >> 20} MiB found by an ordinary query and fetched from {givers} people at"
        " once, one of them killed half way, every byte verified,"
        f" in {seconds:.1f} s ({RECORDING_BYTES / 1e6 / seconds:.0f} MB/s)."
    )
    return 0


async def watch(
    folder: Path, getting: subprocess.Popen[str], processes: dict[str, subprocess.Popen[str]]
) -> DownloadView | None:
    """Follow the download from outside, kill the victim half way; the last view that named all sources."""
    last: DownloadView | None = None
    with trio.fail_after(PATIENCE_S):
        face: Face | None = None
        while getting.poll() is None:
            await trio.sleep(0.02)
            try:
                face = face or await connect_running(Profile(folder / "erin" / "profile"))
                views = await face.downloads() if face is not None else ()
            except Exception:
                face = None  # it starts or ends just now
                continue
            if not views:
                continue
            if views[0].sources:
                last = views[0]
            if views[0].done_bytes * 2 >= views[0].size and processes[VICTIM].poll() is None:
                processes[VICTIM].kill()  # SIGKILL: no farewell to anybody
                processes[VICTIM].wait()
    return last


# --- files ------------------------------------------------------------------------------------------------


def make_recording(path: Path) -> None:
    """Noise is what the sea sounds like, and nothing compresses it."""
    path.parent.mkdir(parents=True)
    header = wav_header(RECORDING_BYTES, "Sea at Night", "The Coast", "Field Recordings")
    with path.open("wb") as file:
        file.write(header)
        left = RECORDING_BYTES - len(header)
        while left:
            left -= file.write(os.urandom(min(left, 8 << 20)))


def wav_header(size: int, title: str, artist: str, album: str) -> bytes:
    """A WAV file of `size` bytes up to its samples: 16 bit, stereo, 44.1 kHz, with tags."""
    tags = b"INFO"
    for key, text in ((b"INAM", title), (b"IART", artist), (b"IPRD", album)):
        value = text.encode() + b"\0"
        value += b"\0" * (len(value) % 2)
        tags += key + struct.pack("<I", len(value)) + value
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16)
    lists = b"LIST" + struct.pack("<I", len(tags)) + tags
    head = 12 + len(form) + len(lists) + 8
    return (
        b"RIFF"
        + struct.pack("<I", size - 8)
        + b"WAVE"
        + form
        + lists
        + b"data"
        + struct.pack("<I", size - head)
    )


def make_share(share: Path, person: str, original: Path) -> None:
    """The recording, a few songs with tags, and documents of this project."""
    for inner in ("Recordings", "Music", "Documents"):
        (share / inner).mkdir(parents=True)
    os.link(original, share / "Recordings" / original.name)
    songs = {"alice": "Blue Train", "bob": "Blue in Green", "carol": "So What", "dave": "Blue Train"}
    size = 2 << 20
    header = wav_header(size, songs[person], "The Demo Quartet", f"Played by {person.title()}")
    samples = hashlib.shake_256(songs[person].encode()).digest(size - len(header))
    (share / "Music" / f"{songs[person]}.wav").write_bytes(header + samples)
    for document in (*ROOT.glob("*.md"), *(ROOT / "p2pshare").glob("*.py")):
        shutil.copy(document, share / "Documents")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- processes ----------------------------------------------------------------------------------------------


@contextmanager
def running() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Processes by name; whatever still runs in the end is ended."""
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        yield processes
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start(
    program: str, folder: Path, *arguments: str, stdout: int | None = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", program, *arguments], cwd=folder, env=environment, stdout=stdout, text=True
    )


def read_invite(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        for word in line.replace("'", " ").split():
            if word.startswith("p2pshare:join?"):
                return word
    raise SystemExit("The index server ended without an invite.")


def profile_of(folder: Path, person: str) -> str:
    return str(folder / person / "profile")


def init(folder: Path, person: str, invite: str, share: Path | None) -> None:
    shares = ("--share", str(share)) if share else ()
    profile = profile_of(folder, person)
    call(folder, "--profile", profile, "init", "--nick", person, "--server", invite, *shares)
    place = Profile(Path(profile))
    settings = load_settings(place.settings_file)
    changed = {"lan": False, "download_folder": "downloads", "upload_rate": RATE_KIB_S}
    save_settings(place.settings_file, type(settings)(**{**vars(settings), **changed}))


def call(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "client", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`p2pshare {' '.join(arguments)}` failed with exit code {done.returncode}.")


def run_quietly(folder: Path, *arguments: str) -> None:
    call(folder, "--profile", profile_of(folder, "erin"), *arguments)


def run_shown(folder: Path, *arguments: str) -> None:
    """A command as Erin types it, with what it prints."""
    print(f"erin$ p2pshare {' '.join(arguments)}", flush=True)
    start("client", folder, "--profile", profile_of(folder, "erin"), *arguments, stdout=None).wait(PATIENCE_S)
    print(flush=True)


async def until_published(folder: Path, person: str) -> None:
    """Until the index server knows every file of somebody by its hash."""
    with trio.fail_after(PATIENCE_S):
        while True:
            await trio.sleep(0.05)
            try:
                face = await connect_running(Profile(Path(profile_of(folder, person))))
                if face is None:
                    continue
                view = await face.status()
            except OSError:
                continue
            told = all(server.offers_published and not server.offers_pending for server in view.servers)
            if view.servers and told and view.shares and not view.hashing_left:
                return


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
