"""PostgreSQL's full-text search: a cluster of its own in a temporary folder, reached by a socket in it.

It listens on no network. PostgreSQL refuses to run as root; started by root, it runs as its own user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psycopg  # type: ignore[import-not-found, unused-ignore]

from scripts.bench.corpus import File, Query
from scripts.bench.engines.engine import LIMIT
from scripts.bench.programs.processes import running, until

USER = "bench"
SYSTEM_USER = "postgres"
PLACES = "/usr/lib/postgresql"
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",  # one process, as all others
    "jit": "off",
}
TABLES = """
CREATE TABLE files (
    number bigint PRIMARY KEY, sources int NOT NULL, text text NOT NULL, words tsvector NOT NULL
)
"""
FOUND = """
SELECT number, sources, text FROM files WHERE words @@ %s::tsquery ORDER BY sources DESC LIMIT %s
"""


class PostgreSql:
    def __init__(self, folder: Path) -> None:
        programs = _programs()
        folder.chmod(0o755)
        cluster = folder / "cluster"
        cluster.mkdir()
        as_user = [SYSTEM_USER] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(cluster, SYSTEM_USER)
        cluster.chmod(0o700)
        prefix = (
            ["setpriv", f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--clear-groups"]
            if as_user
            else []
        )
        data = cluster / "data"
        subprocess.run(
            [*prefix, programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        flags = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._stack = ExitStack()
        command = [*prefix, programs / "postgres", "-D", data, "-k", cluster, *flags]
        self._stack.enter_context(running(command, folder / "postgres.log", cwd=Path("/")))
        self._connection = self._stack.enter_context(until(lambda: _connected(cluster), "PostgreSQL answers"))
        self._connection.execute(TABLES)
        [[said]] = self._connection.execute("SHOW server_version").fetchall()
        self.version = f"PostgreSQL {said.split()[0]}"

    def build(self, files: Iterable[File]) -> None:
        self.add(files)
        self._connection.execute("CREATE INDEX ON files USING gin (words) WITH (fastupdate = off)")
        self._connection.execute("VACUUM ANALYZE files")

    def search(self, query: Query) -> Sequence[object]:
        asked = (" <-> " if query.phrase else " & ").join(query.words)
        found: Sequence[object] = self._connection.execute(FOUND, (asked, LIMIT), prepare=True).fetchall()
        return found

    def add(self, files: Iterable[File]) -> None:
        with self._connection.cursor().copy("COPY files FROM STDIN") as copy:
            for file in files:
                lexemes: dict[str, list[int]] = {}
                for position, word in enumerate(file.text.split(), 1):
                    lexemes.setdefault(word, []).append(position)
                words = " ".join(f"{word}:{','.join(map(str, at))}" for word, at in lexemes.items())
                copy.write_row((file.number, file.sources, file.text, words))

    def remove(self, files: Sequence[File]) -> None:
        self._connection.execute(
            "DELETE FROM files WHERE number = ANY(%s)", ([file.number for file in files],)
        )

    def close(self) -> None:
        self._stack.close()


def _connected(cluster: Path) -> psycopg.Connection | None:
    try:
        return psycopg.connect(host=str(cluster), user=USER, dbname="postgres", autocommit=True)
    except psycopg.OperationalError:
        return None


def _programs() -> Path:
    """Where Debian puts them; the newest, if there are several. Raises `FileNotFoundError`."""
    found = sorted(Path(PLACES).glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    if elsewhere is None:
        raise FileNotFoundError("PostgreSQL is not installed")
    return Path(elsewhere).parent


ENGINE = PostgreSql
