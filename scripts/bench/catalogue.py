"""How fast the catalogue of an index server answers, and what an offer costs it.

    python scripts/bench/catalogue.py [--names 100000]

Names are made up: some 45 characters, words by Zipf's law, every fifth file held by several people.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import statistics
import time
from collections.abc import Callable
from itertools import accumulate

from index_server.catalogue import Catalogue, Gone
from index_server.entry import Entry, entry_untrusted
from index_server.query import parse_search_untrusted
from p2pshare.hashing import FileId
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Search

WORDS = 60_000
FILES_OF_ONE = 500
EXTENSIONS = ("mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "flac", "avi", "pdf")


class World:
    """A made-up network, the same at every run."""

    def __init__(self, names: int) -> None:
        self.rng = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgk"
        self.words = ["".join(self.rng.choices(letters, k=self.rng.randint(2, 9))) for _ in range(WORDS)]
        self.weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
        self.files = [self._offer(number) for number in range(names)]

    def _offer(self, number: int) -> Offer:
        words = self.rng.choices(self.words, cum_weights=self.weights, k=7)
        path = f"{words[0]} {words[1]}/{words[2]}/{words[3]} {words[4]} {words[5]} {words[6]}"
        return Offer(
            offer=number,
            path=f"{path}.{self.rng.choice(EXTENSIONS)}",
            size=int(self.rng.lognormvariate(15.5, 1.5)),
            file=FileId(number.to_bytes(32, "big")),
            changed=1_700_000_000,
        )

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
    each = (time.perf_counter() - start) / len(shares)
    print(f"one person with {offers / len(shares):.0f} offers online: {each * 1e3:.2f} ms")

    common, medium = world.words[:100], world.words[500:3000]
    rare = world.words[20_000:]
    classes: dict[str, Callable[[], str]] = {
        "rare": lambda: world.rng.choice(rare),
        "rare + common": lambda: f"{world.rng.choice(rare)} {world.rng.choice(common)}",
        "medium + medium": lambda: f"{world.rng.choice(medium)} {world.rng.choice(medium)}",
        "common": lambda: world.rng.choice(common),
        "common + common": lambda: f"{world.rng.choice(common)} {world.rng.choice(common)}",
        "common, with a size": lambda: world.rng.choice(common),
        "phrase of common": lambda: f'"{world.rng.choice(common)} {world.rng.choice(common)}"',
        "mp3": lambda: "mp3",
        "mp3 -common": lambda: f"mp3 -{world.rng.choice(common)}",
        "phrase of the commonest": lambda: f'"{world.words[0]} mp3"',
    }
    for name, text in classes.items():
        size_min = 5_000_000 if "size" in name else 0
        times, totals = [], []
        for _ in range(400):
            query = parse_search_untrusted(Search(request=1, query=text(), size_min=size_min))
            start = time.perf_counter()
            page = catalogue.search(query, limit=50)
            times.append((time.perf_counter() - start) * 1e3)
            totals.append(page.total)
        cuts = statistics.quantiles(times, n=100)
        matches = statistics.mean(totals)
        print(f"{name:24} p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms   matches {matches:9,.0f}")

    gone = [Gone(entry.offer, entry.file) for entry in shares[0]]
    start = time.perf_counter()
    catalogue.publish(0, gone, [])
    print(f"removing {len(gone)} offers: {(time.perf_counter() - start) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
