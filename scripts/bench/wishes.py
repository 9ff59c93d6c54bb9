"""What wishes cost: a publish beside 100,000 of them and without any, a start, and memory.

    nice -n 19 python scripts/bench/wishes.py [--wishes 100000] [--messages 40]

Both publish the same messages of 500 offers, in turns, to a database in a file. Wishes are 2 to 4 words, one
of them any but the hundred commonest, the others drawn as the words of names are. Nobody is online to take
what they find, so all of it is noted on disk.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
import trio.testing

from index_server import store
from index_server.manifests import Manifests
from index_server.online import Online, Visitor
from index_server.search.catalogue import Catalogue
from index_server.wishes.mailbox import all_wishes
from index_server.wishes.wishes import Wishes
from p2pshare.addresses import Address
from p2pshare.database import open_database
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from scripts.bench.corpus import Corpus

WISHES_OF_ONE = 50
COMMON = 100  # words
PUBLISHER, FIRST_WISHER = 1, 2


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Side:
    """A server's part that is measured, with some wishes or none."""

    def __init__(self, manifests: Manifests, wishes: Wishes) -> None:
        self.manifests = manifests
        self.wishes = wishes
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []

    async def publish(self, visitor: Visitor, message: Publish) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        await self.manifests.publish(visitor.account, message)
        await self.wishes.offered(visitor, message.added)
        self.wall_s.append(time.perf_counter() - wall)
        await trio.testing.wait_all_tasks_blocked(0.01)  # what goes on beside it counts as work, too
        self.cpu_s.append(time.process_time() - cpu)


@asynccontextmanager
async def side(file: Path, corpus: Corpus, count: int) -> AsyncIterator[Side]:
    async with open_database(file, store.MIGRATIONS) as database, trio.open_nursery() as nursery:
        await database.write(partial(fill, corpus=corpus, count=count))
        catalogue = Catalogue(random.Random(1))
        manifests = Manifests(database, catalogue, None, offers_max=10_000_000)
        wishes = Wishes(database, catalogue, Online(), wishes_max=WISHES_OF_ONE)
        before, start = resident_bytes(), time.process_time()
        await wishes.load()
        took, memory = time.process_time() - start, resident_bytes() - before
        if count:
            print(
                f"{len(wishes):,} wishes: {took:.1f} s of work to take up, {memory / count:,.0f} bytes each"
            )
        nursery.start_soon(wishes.run, None)  # nobody is online to be shown anything
        await manifests.start()
        await manifests.list_all()
        yield Side(manifests, wishes)
        nursery.cancel_scope.cancel()


def fill(connection: object, corpus: Corpus, count: int) -> None:
    rng = random.Random(2)
    people = FIRST_WISHER + count // WISHES_OF_ONE + 1
    for number in range(1, people):
        name = f"person{number}"
        store.add_account(connection, NodeId(number.to_bytes(32, "big")), name, name, 0)  # type: ignore[arg-type]
    rows = [
        (FIRST_WISHER + number // WISHES_OF_ONE, number, " ".join(words_of(rng, corpus)), 0)
        for number in range(count)
    ]
    connection.executemany("INSERT INTO wish (account, wish, query, found) VALUES (?, ?, ?, ?)", rows)  # type: ignore[attr-defined]


def words_of(rng: random.Random, corpus: Corpus) -> list[str]:
    """Nobody wishes for very common words alone."""
    return [
        *rng.choices(corpus.words[COMMON:], k=1),
        *rng.choices(corpus.words, cum_weights=corpus._weights, k=rng.randint(1, 3)),
    ]


def messages(corpus: Corpus, count: int) -> list[Publish]:
    digest, made = EMPTY_MANIFEST, []
    for number in range(count):
        added = tuple(
            Offer(offer=each, path=corpus.path(each), size=each, file=FileId(each.to_bytes(32, "big")))
            for each in range(number * PUBLISH_BATCH, (number + 1) * PUBLISH_BATCH)
        )
        result = change_digest(digest, added=map(offer_hash, added))
        made.append(Publish(request=1, base=digest, result=result, removed=(), added=added))
        digest = result
    return made


async def main(count: int, rounds: int) -> None:
    corpus = Corpus(rounds * PUBLISH_BATCH)
    visitor = Visitor(PUBLISHER, NodeId(bytes(32)), "person1", None, Address("127.0.0.1", 1), b"")
    with tempfile.TemporaryDirectory() as folder:
        async with (
            side(Path(folder, "without"), corpus, 0) as without,
            side(Path(folder, "with"), corpus, count) as beside,
        ):
            for number, message in enumerate(messages(corpus, rounds)):
                for each in (without, beside) if number % 2 else (beside, without):
                    await each.publish(visitor, message)
                if number == rounds // 4:
                    await beside.wishes.refile()  # as a server does when its catalogue is filled
            found = sum(each.found for each in await beside.wishes._database.read(all_wishes, 0, count))
            print(f"{found:,} hits for {rounds * PUBLISH_BATCH:,} offers")
    for name, these, those in (
        ("until it is answered", without.wall_s, beside.wall_s),
        ("work in all", without.cpu_s, beside.cpu_s),
    ):
        skip = rounds // 4 + 1
        one, other = statistics.median(these[skip:]), statistics.median(those[skip:])
        print(
            f"publish of {PUBLISH_BATCH} offers, {name}: {one * 1e3:.1f} ms without wishes,"
            f" {other * 1e3:.1f} ms with {count:,}: {other / one:.2f} times"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--wishes", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=40)
    chosen = parser.parse_args()
    trio.run(main, chosen.wishes, chosen.messages)
