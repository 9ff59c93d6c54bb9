"""The one SQLite file of a profile, `library.sqlite`: its tables, one comment each.

Only what must survive a restart is here. `open_database(path, MIGRATIONS)` makes or updates it; the modules
named beside each table hold the units that read and write it.
"""

from __future__ import annotations

LIBRARY_FILE = "library.sqlite"

MIGRATIONS: tuple[str, ...] = (
    """
    -- A folder that the person shares (inventory.py). `path` is absolute and resolved, `name` is for others.
    CREATE TABLE share(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        added_at REAL NOT NULL,                 -- Unix seconds
        away INTEGER NOT NULL DEFAULT 0         -- 1: not on disk just now; its files are not offered
    );

    -- A folder in a share (inventory.py); the share itself is the one with path ''. The totals count files at
    -- any depth and are kept by the same transaction that changes the files.
    CREATE TABLE folder(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        share INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
        parent INTEGER REFERENCES folder ON DELETE CASCADE,
        path TEXT NOT NULL,                     -- within the share, '/' between the parts
        name TEXT NOT NULL,                     -- its last part
        sort_key TEXT NOT NULL,                 -- name, case-folded
        files INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        hashed INTEGER NOT NULL DEFAULT 0,      -- files with a file id
        UNIQUE(share, path)
    );
    CREATE INDEX folder_in_order ON folder(parent, sort_key, name);

    -- A shared file (inventory.py). `id` is the offer number told to others; none is ever used twice.
    CREATE TABLE file(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        folder INTEGER NOT NULL REFERENCES folder ON DELETE CASCADE,
        name TEXT NOT NULL,
        sort_key TEXT NOT NULL,                 -- name, case-folded: what the UNIQUE below sorts by
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode TEXT NOT NULL,                    -- text, because NTFS and ZFS use all 64 bits and more
        file_id BLOB,                           -- NULL until hashed
        tags BLOB,                              -- MessagePack of wire Tags; NULL until read
        offer_hash BLOB,                        -- wire.manifest.offer_hash; NULL when the offer changed since
        UNIQUE(folder, sort_key, name)
    );
    CREATE INDEX file_by_file_id ON file(file_id) WHERE file_id IS NOT NULL;
    CREATE INDEX file_to_hash ON file(size) WHERE file_id IS NULL;
    CREATE INDEX file_to_tag ON file(id) WHERE tags IS NULL;
    CREATE INDEX file_to_publish ON file(id) WHERE offer_hash IS NULL;

    -- What was ever hashed (hash_cache.py). Outlives the share: sharing a folder again costs no hashing.
    CREATE TABLE hash_cache(
        path TEXT PRIMARY KEY,                  -- absolute
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode TEXT NOT NULL,
        file_id BLOB NOT NULL,
        hashed_at REAL NOT NULL,                -- Unix seconds
        hashes BLOB NOT NULL                    -- all piece hashes, 32 bytes each
    );

    -- What each index server has acknowledged (publish.py).
    CREATE TABLE published(
        server BLOB NOT NULL,
        offer INTEGER NOT NULL,
        hash BLOB NOT NULL,                     -- 16 bytes, wire.manifest.offer_hash
        PRIMARY KEY(server, offer)
    ) WITHOUT ROWID;

    -- A download, running or ended (downloads/). A row exists before the first byte is asked for.
    CREATE TABLE download(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        file_id BLOB,                           -- NULL while its owner has not hashed it: person, offer
        person BLOB,
        offer INTEGER,
        size INTEGER NOT NULL,
        name TEXT NOT NULL,
        target_folder TEXT NOT NULL,
        target_path TEXT NOT NULL,              -- within target_folder
        folder TEXT NOT NULL DEFAULT '',        -- name of the folder download that it belongs to
        state TEXT NOT NULL,
        problem TEXT NOT NULL DEFAULT '',
        piece_size INTEGER,
        hashes BLOB,                            -- all piece hashes; NULL until they are known
        part TEXT NOT NULL DEFAULT '',          -- name of the part file, and what tells it from another
        part_identity TEXT,                     -- one of that name; both NULL or empty until there is one
        done BLOB NOT NULL DEFAULT x'',         -- bitmap of verified pieces, first piece in the highest bit
        sources BLOB NOT NULL DEFAULT x'90',    -- MessagePack list of [server, node, nick, offer]
        added_at REAL NOT NULL,
        finished_at REAL,
        finished_stamp TEXT,                    -- of a finished file that is served from where it is (Stamp)
        wasted_bytes INTEGER NOT NULL DEFAULT 0
    );

    -- People files were exchanged with.
    CREATE TABLE person(
        node BLOB PRIMARY KEY,
        nick TEXT NOT NULL DEFAULT '',
        sent_bytes INTEGER NOT NULL DEFAULT 0,
        received_bytes INTEGER NOT NULL DEFAULT 0,
        last_at REAL NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    -- The results of the last search, so that `get NUMBER` works in a later command.
    CREATE TABLE kept_result(
        number INTEGER PRIMARY KEY,
        body BLOB NOT NULL
    );
    """,
)
