"""One search engine in a process of its own, told what to do on its input, one line of JSON each:

    {"do": "build"}    {"do": "search", "kind": "rare", "round": 1, "count": 100}
    {"do": "change", "round": 1, "count": 1000}

Queries and files are made here, from their numbers, so that every engine gets the very same ones.
"""

from __future__ import annotations

import gc
import importlib
import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.bench.corpus import Corpus, File
from scripts.bench.engines.engine import Engine
from scripts.bench.programs.processes import family


class Worker:
    def __init__(self, engine: Engine, corpus: Corpus, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._corpus = corpus
        self._before = memory_bytes()

    def build(self) -> dict[str, Any]:
        began = time.perf_counter()
        making_s = 0.0

        def files() -> Iterator[File]:
            nonlocal making_s
            for number in range(self._corpus.names):
                start = time.perf_counter()
                file = self._corpus.file(number)
                making_s += time.perf_counter() - start
                yield file

        self._engine.build(files())
        seconds = time.perf_counter() - began - making_s
        gc.collect()
        gc.freeze()
        stored = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return {"seconds": seconds, "bytes": memory_bytes() - self._before, "file_bytes": stored}

    def search(self, kind: str, round: int, count: int) -> dict[str, Any]:
        rng = random.Random(f"{kind} {round}")
        queries = [self._corpus.query_of(kind, rng) for _ in range(count)]
        times, found = [], []
        for query in queries:
            start = time.perf_counter()
            results = self._engine.search(query)
            times.append(time.perf_counter() - start)
            found.append(len(results))
        return {"times": times, "found": found}

    def change(self, round: int, count: int) -> dict[str, Any]:
        """Take up so many new files, then forget them."""
        first = self._corpus.names + round * count
        files = [self._corpus.file(number)._replace(sources=1) for number in range(first, first + count)]
        start = time.perf_counter()
        self._engine.add(files)
        added = time.perf_counter()
        self._engine.remove(files)
        return {"add": added - start, "remove": time.perf_counter() - added}


def memory_bytes() -> int:
    """Of this process and those it started; what several share is divided among them."""
    total = 0
    for pid in family(int(Path("/proc/self").resolve().name)):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))
        )
    return total


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    module, names, sources, folder = sys.argv[1:]
    try:
        engine = importlib.import_module(f"scripts.bench.engines.{module}").ENGINE(Path(folder))
    except (ImportError, FileNotFoundError) as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    try:
        worker = Worker(engine, Corpus(int(names), float(sources)), Path(folder))
        calls: dict[str, Callable[..., dict[str, Any]]] = {
            "build": worker.build,
            "search": worker.search,
            "change": worker.change,
        }
        print(json.dumps({"version": engine.version}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(calls[order.pop("do")](**order)), flush=True)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
