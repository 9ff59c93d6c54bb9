"""How fast the catalogue of an index server answers, and what an offer costs it.

    python scripts/bench/catalogue.py [--names 100000]

Names are made up: some 45 characters, words by Zipf's law, every fifth file held by several people.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate
from typing import TypeVar

from index_server import store
from index_server.manifests import STEP
from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import Entry, entry_untrusted
from index_server.search.query import parse_search_untrusted
from index_server.searching import LITTLE
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import NO_TAGS, Offer, SortBy, SpeedClass, Tags
from p2pshare.wire.index import Publish, Search
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import decode_untrusted, encode

T = TypeVar("T")
WORDS = 60_000
SEARCHES = 300  # of each class
FILES_OF_ONE = 500
PUBLISHERS = 40  # of each class
EXTENSIONS = ("mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "flac", "avi", "pdf")


class World:
    """A made-up network, the same at every run."""

    def __init__(self, names: int) -> None:
        self.rng = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgk"
        self.words = ["".join(self.rng.choices(letters, k=self.rng.randint(2, 9))) for _ in range(WORDS)]
        self.weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
        self.files = [self._offer(number) for number in range(names)]
        self.invented = names

    def _offer(self, number: int) -> Offer:
        words = self.rng.choices(self.words, cum_weights=self.weights, k=7)
        path = f"{words[0]} {words[1]}/{words[2]}/{words[3]} {words[4]} {words[5]} {words[6]}"
        return Offer(
            offer=number,
            path=f"{path}.{self.rng.choice(EXTENSIONS)}",
            size=int(self.rng.lognormvariate(15.5, 1.5)),
            file=FileId(number.to_bytes(32, "big")),
            changed=1_700_000_000 - number * 37 % 300_000_000,
            tags=self._tags(number),
        )

    def _tags(self, number: int) -> Tags:
        """Every third file says something of itself."""
        if number % 3:
            return NO_TAGS
        year, length_s = 1950 + number % 70, 60 + number % 500
        return Tags(
            year=year, length_s=length_s, bitrate_kbps=64 * (1 + number % 5), lossless=number % 10 == 0
        )

    def message(self, known: int) -> bytes:
        """A publish of one person: so many files that others have, or had; the others are new."""
        offers = {offer.offer: offer for offer in self.rng.sample(self.files, known)}
        while len(offers) < FILES_OF_ONE:
            self.invented += 1
            offers[self.invented] = self._offer(self.invented)
        added = tuple(offers.values())
        result = change_digest(EMPTY_MANIFEST, added=map(offer_hash, added))
        return encode(Publish(request=1, base=EMPTY_MANIFEST, result=result, removed=(), added=added))

    def shares(self) -> list[list[Entry]]:
        """What each person offers: own files, and some that others have, too."""
        popular = self.files[::20]
        shares = []
        for start in range(0, len(self.files), FILES_OF_ONE):
            mine = {offer.offer: offer for offer in self.files[start : start + FILES_OF_ONE]}
            mine |= {offer.offer: offer for offer in self.rng.choices(popular, k=FILES_OF_ONE // 5)}
            shares.append([entry_untrusted(offer) for offer in mine.values()])
        return shares


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measure_searches(catalogue: Catalogue, world: World) -> None:
    """Every class of query, and combinations of them."""
    choose = world.rng.choice
    common, medium, rare = world.words[:100], world.words[500:3000], world.words[20_000:]
    unfound = [f"{word[:2]}{word[3:]}x" for word in medium if len(word) > 5]  # two slips
    classes: dict[str, Callable[[], str]] = {
        "rare": lambda: choose(rare),
        "rare + common": lambda: f"{choose(rare)} {choose(common)}",
        "medium + medium": lambda: f"{choose(medium)} {choose(medium)}",
        "common": lambda: choose(common),
        "common + common": lambda: f"{choose(common)} {choose(common)}",
        "common OR common": lambda: f"{choose(common)} OR {choose(common)} OR {choose(common)}",
        "(common OR rare) common": lambda: f"({choose(common)} OR {choose(rare)}) {choose(common)}",
        "beginning of a word": lambda: f"{choose(medium)[:3]}*",
        "beginning + common": lambda: f"{choose(common)} {choose(medium)[:2]}*",
        "misspelt": lambda: choose(unfound),
        "misspelt + common": lambda: f"{choose(unfound)} {choose(common)}",
        "common, with a size": lambda: f"{choose(common)} size:>5m",
        "mp3, all filters": lambda: (
            "mp3 kind:audio size:1m..20m year:1970..1999 bitrate:>=192 length:2min..5min"
        ),
        "mp3, free, 2 sources": lambda: "mp3 free: sources:>=2 -lossless:",
        "phrase of common": lambda: f'"{choose(common)} {choose(common)}"',
        "mp3": lambda: "mp3",
        "mp3 -common": lambda: f"mp3 -{choose(common)}",
        "mp3 -phrase of common": lambda: f'mp3 -"{choose(common)} {choose(common)}"',
        "phrase of the commonest": lambda: f'"{world.words[0]} mp3"',
    }
    for name, text in classes.items():
        measure(catalogue, name, text, SortBy.RELEVANCE)
    for sort in SortBy:
        measure(catalogue, f"mp3 by {sort.name.lower()}", lambda: "mp3", sort)
        measure(
            catalogue, f"common by {sort.name.lower()}, page 2", lambda: choose(common), sort, second=True
        )


def measure(
    catalogue: Catalogue, name: str, text: Callable[[], str], sort: SortBy, second: bool = False
) -> None:
    """One class of query: from the parsed message to the found documents, suggestions included."""
    times, totals = [], []
    for _ in range(SEARCHES):
        search = Search(request=1, query=text(), sort=sort)
        cursor = b""
        if second:
            first = catalogue.search(parse_search_untrusted(search), sort=sort, limit=50).found
            cursor = first[-1].cursor if first else b""
        start = time.perf_counter()
        page = catalogue.search(parse_search_untrusted(search), sort=sort, cursor=cursor, limit=50)
        if page.total < LITTLE:
            catalogue.suggest(search, more_than=page.total)
        times.append((time.perf_counter() - start) * 1e3)
        totals.append(page.total)
    cuts = statistics.quantiles(times, n=100)
    matches = statistics.mean(totals)
    print(f"{name:28} p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms   matches {matches:9,.0f}")


class Spent:
    """CPU time by stage."""

    def __init__(self) -> None:
        self._stages: defaultdict[str, float] = defaultdict(float)
        self.longest_s = 0.0

    def timed(self, stage: str, do: Callable[..., T], *arguments: object) -> T:
        started = time.thread_time()
        done = do(*arguments)
        took = time.thread_time() - started
        self._stages[stage] += took
        if stage != "disk":  # that is a thread of its own
            self.longest_s = max(self.longest_s, took)
        return done

    def each_us(self, stage: str) -> float:
        """For one offer."""
        return self._stages[stage] * 1e6 / PUBLISHERS / FILES_OF_ONE


def measure_publish(catalogue: Catalogue, world: World, account: int) -> None:
    """People with 500 files each: the whole way that a publish message goes, and their files out again."""
    gc.collect()
    gc.freeze()  # as the server does
    print("CPU time: for one offer in us, for 1,000 files in the catalogue in ms, the longest step in ms")
    print("           decode  check   disk  catalogue  offers/s  1,000 in  1,000 out  longest")
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(store.MIGRATIONS[0])
    for name, known in (("all known", 1.0), ("90 % known", 0.9), ("all new", 0.0)):
        spent = Spent()
        for _ in range(PUBLISHERS):
            account += 1
            node, nick = NodeId(account.to_bytes(32, "big")), str(account)
            number = store.add_account(connection, node, nick, nick, 1).number
            body = world.message(int(known * FILES_OF_ONE))
            message = spent.timed("decode", decode_untrusted, body)
            assert isinstance(message, Publish)
            entries = spent.timed("check", lambda offers: [*map(entry_untrusted, offers)], message.added)
            change = store.ManifestChange(message.base, message.result, (), tuple(entries), False)
            spent.timed("disk", store.change_manifest, connection, number, change, FILES_OF_ONE)
            for start in range(0, FILES_OF_ONE, STEP):
                spent.timed("in", catalogue.publish, account, (), entries[start : start + STEP])
            catalogue.set_online(account, True)
            gone = [Gone(entry.offer, entry.file) for entry in entries]
            for start in range(0, FILES_OF_ONE, STEP):
                spent.timed("out", catalogue.publish, account, gone[start : start + STEP], ())
            while spent.timed("tidy", catalogue.tidy, STEP):
                pass
        decode, check, disk, into, out = map(spent.each_us, ("decode", "check", "disk", "in", "out"))
        a_second = 1e6 / (decode + check + disk + into)
        print(f"{name:10} {decode:6.1f} {check:6.1f} {disk:6.1f} {into:10.1f} {a_second:9,.0f}", end="")
        print(f" {into:9.1f} {out:10.1f} {spent.longest_s * 1e3:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--names", type=int, default=100_000)
    world = World(parser.parse_args().names)
    shares = world.shares()
    offers = sum(map(len, shares))

    gc.collect()
    before, start = resident_bytes(), time.perf_counter()
    catalogue = Catalogue(random.Random(2))
    for account, share in enumerate(shares):
        catalogue.publish(account, [], share)
    took = time.perf_counter() - start
    used = resident_bytes() - before
    print(f"{len(catalogue):,} files, {offers:,} offers")
    print(f"{offers / took:,.0f} offers a second, {used / offers:.0f} bytes each")
    start = time.perf_counter()
    for account in range(len(shares)):
        catalogue.set_online(account, True)
        catalogue.set_free(account, account % 3 == 0)
        catalogue.set_speed(account, SpeedClass(account % len(SpeedClass)))
    each = (time.perf_counter() - start) / len(shares)
    print(f"one person with {offers / len(shares):.0f} offers online: {each * 1e3:.2f} ms")

    measure_searches(catalogue, world)

    measure_publish(catalogue, world, len(shares))


if __name__ == "__main__":
    main()
