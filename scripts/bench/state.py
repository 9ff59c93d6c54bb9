"""What the state of an index server costs: publish in bulk, memory, a snapshot, a start from it, a change.

    python scripts/bench/state.py [--names 100000] [--offers 1000000] [--folder FOLDER] [--rows]

Offers come as encoded messages from a process of their own, as from the network, and take the whole way:
decode, check, SQLite, catalogue. Meanwhile a task asks for its turn again and again, as a search would: the
longest it had to wait is the *pause*. Another looks accounts up, as a login does. Accounts offer 500 files
each; all names are offered by several, some by very many.

"CPU" is that of the whole process. Where others use the machine, it says more than the time that went by.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import accumulate
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import trio

from index_server import store
from index_server.manifests import STEP, Manifests
from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import entry_untrusted
from index_server.snapshot_file import SnapshotFile
from p2pshare.database import Database, open_database
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, packed_offer_hash
from p2pshare.wire.schema import decode_untrusted, dump, encode, pack
from scripts.bench.corpus import EXTENSIONS, LETTERS, WORDS

FILES_OF_ONE = 500  # also what one message adds
BATCH = 100  # messages made before the clock runs
AT_ONCE = 16  # people who publish at the same time
LOGIN_EVERY_S = 0.02
MIB = 1 << 20


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


# --- what is published -----------------------------------------------------------------------------------


def make_messages(names: int, offers: int, pipe: Connection) -> None:
    """In a process of its own: batches of encoded publish messages, one for each account."""
    rng = random.Random(1)
    say = _speaker(rng)
    known: list[Offer] = []
    people = offers // FILES_OF_ONE
    batch: list[bytes] = []
    for person in range(people):
        fresh = names * (person + 1) // people - len(known)
        start = len(known)
        for number in range(start, start + fresh):
            known.append(_offer(number, say(), rng))
        mine = {*range(start, start + fresh)}
        while len(mine) < min(FILES_OF_ONE, len(known)):
            mine.add(int(len(known) * rng.random() ** 2))  # the first ones are offered most
        batch.append(_message([known[number] for number in sorted(mine)]))
        if len(batch) == BATCH or person == people - 1:
            pipe.recv()
            pipe.send(batch)
            batch = []
    pipe.recv()
    pipe.send([])


def _speaker(rng: random.Random) -> Callable[[], list[str]]:
    """Says the words of a name, by Zipf's law."""
    words = ["".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(WORDS)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
    return lambda: rng.choices(words, cum_weights=weights, k=7)


def _offer(number: int, words: list[str], rng: random.Random) -> Offer:
    tags = NO_TAGS
    if number % 3 == 0:
        tags = Tags(artist=words[0], title=words[4], year=1950 + number % 70, length_s=60 + number % 500)
    return Offer(
        offer=number,
        path=f"{words[0]} {words[1]}/{words[2]}/{' '.join(words[3:])}.{rng.choice(EXTENSIONS)}",
        size=int(rng.lognormvariate(15.5, 1.5)),
        file=FileId(rng.randbytes(32)),
        changed=1_700_000_000 - rng.randrange(300_000_000),
        tags=tags,
    )


def _message(added: list[Offer]) -> bytes:
    digest = change_digest(EMPTY_MANIFEST, added=[packed_offer_hash(pack(dump(offer))) for offer in added])
    return encode(Publish(request=1, base=EMPTY_MANIFEST, result=digest, removed=(), added=tuple(added)))


# --- how long others wait --------------------------------------------------------------------------------


class Waits:
    """What a search and a login had to wait for, in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.turns: list[float] = []
        self.logins: list[float] = []
        self.watched_s = self.cpu_s = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_turns)
            nursery.start_soon(self._log_in)
            started, cpu_started = time.perf_counter(), time.process_time()
            yield
            self.watched_s += time.perf_counter() - started
            self.cpu_s += time.process_time() - cpu_started
            nursery.cancel_scope.cancel()

    async def _take_turns(self) -> None:
        while True:
            asked = time.perf_counter()
            await trio.sleep(0.001)
            self.turns.append(time.perf_counter() - asked - 0.001)

    async def _log_in(self) -> None:
        while True:
            asked = time.perf_counter()
            await self._database.read(store.account_by_node, NodeId(bytes(32)))
            self.logins.append(time.perf_counter() - asked)
            await trio.sleep(LOGIN_EVERY_S)

    def __str__(self) -> str:
        return f"a turn waited {_spread(self.turns)}, a login {_spread(self.logins)}"


def _spread(times: list[float]) -> str:
    if len(times) < 2:
        return "(not measured)"
    p99 = statistics.quantiles(times, n=100)[98]
    return f"p99 {p99 * 1e3:.1f} ms, at most {max(times) * 1e3:.1f} ms"


# --- the server's side -----------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[tuple[Database, Manifests, Catalogue]]:
    async with open_database(folder / "index.sqlite", store.MIGRATIONS) as database:
        catalogue = Catalogue(random.Random(1))
        snapshot = SnapshotFile(folder / "catalogue.snapshot", threads=True)
        manifests = Manifests(database, catalogue, snapshot, offers_max=10 * FILES_OF_ONE)
        await manifests.start()
        gc.freeze()  # as the server does
        yield database, manifests, catalogue


async def fill(folder: Path, pipe: Connection) -> None:
    """Publish everything, change something, write the snapshot."""
    before = resident_bytes()
    async with _opened(folder) as (database, manifests, catalogue):
        await manifests.list_all()
        person, waits = 0, Waits(database)
        while batch := await trio.to_thread.run_sync(_next_batch, pipe):
            accounts = await database.write(_add_accounts, range(person, person + len(batch)))
            person += len(batch)
            for account in accounts[::3]:
                catalogue.set_online(account, True)
            async with waits.watched():
                await _publish_all(manifests, [*zip(accounts, batch, strict=True)])
        offers = person * FILES_OF_ONE
        print(f"publish: {offers / waits.watched_s:,.0f} offers a second, {waits}", flush=True)
        print(f"  {offers / waits.cpu_s:,.0f} offers a second of CPU")
        measure_changes(catalogue)
        gc.collect()
        used = resident_bytes() - before
        print(f"memory: {used / MIB:,.0f} MiB for {len(catalogue):,} names, {offers:,} offers")
        waits = Waits(database)
        async with waits.watched():
            await manifests.save()
        print(f"snapshot written in {waits.watched_s:.1f} s ({waits.cpu_s:.1f} CPU), {waits}")
    print(f"snapshot: {(folder / 'catalogue.snapshot').stat().st_size / MIB:,.0f} MiB,", end=" ")
    print(f"database: {(folder / 'index.sqlite').stat().st_size / MIB:,.0f} MiB")


def _next_batch(pipe: Connection) -> list[bytes]:
    pipe.send(None)
    batch: list[bytes] = pipe.recv()
    return batch


def _add_accounts(connection: sqlite3.Connection, numbers: range) -> list[int]:
    return [
        store.add_account(
            connection, NodeId(number.to_bytes(32, "big")), f"n{number}", f"n{number}", 1
        ).number
        for number in numbers
    ]


async def _publish_all(manifests: Manifests, messages: list[tuple[int, bytes]]) -> None:
    queue = iter(messages)

    async def publish_some() -> None:
        for account, body in queue:
            message = decode_untrusted(body)
            assert isinstance(message, Publish)
            await manifests.publish(account, message)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(publish_some)


def measure_changes(catalogue: Catalogue) -> None:
    """A thousand files come and go, step by step as the server does it: what that takes in its loop."""
    rng = random.Random(2)
    say = _speaker(random.Random(1))  # what was published has these words, too
    entries = [entry_untrusted(_offer(number, say(), rng)) for number in range(1_000)]
    gone = [Gone(entry.offer, entry.file) for entry in entries]
    somebody, else_ = 2**31, 2**31 + 1
    for account, what in ((somebody, "that nobody else has"), (else_, "that somebody else has")):
        started = time.thread_time()
        for at in range(0, len(entries), STEP):
            catalogue.publish(account, (), entries[at : at + STEP])
        added = time.thread_time()
        for at in range(0, len(gone), STEP):
            catalogue.publish(account, gone[at : at + STEP], ())
        removed = time.thread_time()
        print(f"1,000 files {what}: {(added - started) * 1e3:.1f} ms of CPU to add", end=", ")
        print(f"{(removed - added) * 1e3:.1f} ms to remove")
        catalogue.publish(somebody, (), entries)
    catalogue.drop(somebody)


async def start(folder: Path, how: str) -> None:
    """From the files to a catalogue in memory, while people log in."""
    before = resident_bytes()
    async with _opened(folder) as (database, manifests, catalogue):
        waits = Waits(database)
        async with waits.watched():
            await manifests.list_all()
        print(f"start {how}: {waits.watched_s:.1f} s ({waits.cpu_s:.1f} CPU), {waits}")
        gc.collect()
        print(f"  {len(catalogue):,} names, {(resident_bytes() - before) / MIB:,.0f} MiB")


def _fill(folder: Path, pipe: Connection) -> None:
    trio.run(fill, folder, pipe)


def _start(folder: Path, how: str) -> None:
    trio.run(start, folder, how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--offers", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to put the database meanwhile")
    parser.add_argument("--rows", action="store_true", help="start without the snapshot, too")
    chosen = parser.parse_args()
    # Each side is a process of its own, so that its memory is its own.
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        ours, theirs = spawn.Pipe()
        making = spawn.Process(target=make_messages, args=(chosen.names, chosen.offers, theirs), daemon=True)
        making.start()
        _run(spawn.Process(target=_fill, args=(folder, ours)))
        _run(spawn.Process(target=_start, args=(folder, "from the snapshot")))
        if chosen.rows:
            (folder / "catalogue.snapshot").unlink()
            _run(spawn.Process(target=_start, args=(folder, "from the rows")))


def _run(process: SpawnProcess) -> None:
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
