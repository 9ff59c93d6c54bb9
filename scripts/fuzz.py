#!/usr/bin/env python3
"""Feeds one target of tests/fuzz with damaged input for some minutes, and keeps what breaks it."""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

HOW = """
With atheris, inputs are led by what code they reach; without it, Hypothesis makes them blindly. Atheris is
not among the locked packages, because it exists for few systems. To use it, on Linux with Python 3.11-3.13:

    .venv/bin/python -m pip install atheris==3.0.0

An input that breaks a target is written to fuzz-TARGET-HASH in the current folder. Once the fault is mended,
make it a vector (tests/recipes), so that it stays mended.

Targets:
"""
SLICE = 2_000  # inputs between two looks at the clock
ROOMS = ["p2pshare", "index_server", "client"]


def main() -> int:
    try:
        import atheris
    except ImportError:
        atheris = None
    if atheris is not None:
        with atheris.instrument_imports(include=ROOMS):
            from tests.fuzz import targets
    else:
        from tests.fuzz import targets

    listed = "\n".join(f"  {name:16} {target.__doc__}" for name, target in targets.TARGETS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=HOW + listed, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=targets.TARGETS, metavar="TARGET")
    parser.add_argument("minutes", type=float, metavar="MINUTES")
    wanted = parser.parse_args()
    target = kept(wanted.target, targets.TARGETS[wanted.target])
    if atheris is not None:
        from tests.fuzz.corpus import corpus

        with tempfile.TemporaryDirectory() as folder:
            for data in corpus(wanted.target):
                (Path(folder) / hashlib.sha256(data).hexdigest()).write_bytes(data)
            atheris.Setup([sys.argv[0], folder, f"-max_total_time={int(wanted.minutes * 60)}"], target)
            atheris.Fuzz()  # does not return
    return blindly(wanted.target, target, wanted.minutes * 60)


def kept(name: str, target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, writing down what breaks it."""

    def try_one(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            file = Path(f"fuzz-{name}-{hashlib.sha256(data).hexdigest()[:12]}")
            file.write_bytes(data)
            raise

    return try_one


def blindly(name: str, target: Callable[[bytes], None], seconds: float) -> int:
    from hypothesis import HealthCheck, given, settings

    from tests.fuzz.inputs import inputs

    @settings(max_examples=SLICE, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs(name))
    def fuzz(data: bytes) -> None:
        target(data)

    began, tried = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        try:
            fuzz()
        except Exception:
            traceback.print_exc()
            print(f"{name} broke. What did it is in the newest file fuzz-{name}-*.")
            return 1
        tried += SLICE
    print(f"{name} held for {tried:,} inputs, made blindly. With atheris they would be led: see --help.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
