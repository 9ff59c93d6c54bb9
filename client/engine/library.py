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
        identity TEXT NOT NULL,                 -- size, mtime_ns, identity: see beneath.Stamp
        file_id BLOB,                           -- NULL until hashed
        rotten INTEGER NOT NULL DEFAULT 0,      -- 1: a check found pieces that are not as they were hashed
        tags BLOB,                              -- MessagePack of wire Tags; NULL until read
        offer_hash BLOB,                        -- wire.manifest.offer_hash; NULL when the offer changed since
        UNIQUE(folder, sort_key, name)
    );
    CREATE INDEX file_by_file_id ON file(file_id) WHERE file_id IS NOT NULL;
    CREATE INDEX file_to_hash ON file(size) WHERE file_id IS NULL;
    CREATE INDEX file_to_tag ON file(id) WHERE tags IS NULL;
    CREATE INDEX file_to_publish ON file(id) WHERE offer_hash IS NULL;
    CREATE INDEX file_to_repair ON file(folder) WHERE rotten;

    -- What was ever hashed (hash_cache.py). Outlives the share: sharing a folder again costs no hashing.
    CREATE TABLE hash_cache(
        path TEXT PRIMARY KEY,                  -- absolute
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        identity TEXT NOT NULL,
        file_id BLOB NOT NULL,
        hashed_at REAL NOT NULL,                -- Unix seconds
        checked_at REAL NOT NULL,               -- when the disk was seen to hold it, Unix seconds (checks.py)
        settled INTEGER NOT NULL,               -- 1: it was not being written when it was hashed
        good BLOB,                              -- bitmap of the pieces that are as they were; NULL for all
        hashes BLOB NOT NULL                    -- all piece hashes, 32 bytes each
    );
    CREATE INDEX hash_cache_by_check ON hash_cache(checked_at);
    CREATE INDEX hash_cache_by_file ON hash_cache(file_id);

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
        wasted_bytes INTEGER NOT NULL DEFAULT 0,
        replaces TEXT,                          -- of a repair: the rotten file whose place it takes (Stamp)
        keep_replaced INTEGER NOT NULL DEFAULT 0, -- 1: and that one is kept beside it
        parent INTEGER,                         -- the row of the folder that it belongs to
        files INTEGER NOT NULL DEFAULT 0,       -- of a folder: how many files; of a file 0
        priority TEXT NOT NULL DEFAULT 'normal' -- or 'high', or 'low'
    );

    -- Whoever sent data that did not match its hash (distrust.py).
    CREATE TABLE lie(
        node BLOB NOT NULL,
        file_id BLOB NOT NULL,                  -- what was asked of them
        nick TEXT NOT NULL,
        told_at REAL NOT NULL,                  -- Unix seconds
        PRIMARY KEY(node, file_id)
    ) WITHOUT ROWID;

    -- People files were exchanged with, or who were put into a group (people.py, groups.py).
    CREATE TABLE person(
        node BLOB PRIMARY KEY,
        nick TEXT NOT NULL DEFAULT '',
        sent_bytes INTEGER NOT NULL DEFAULT 0,
        received_bytes INTEGER NOT NULL DEFAULT 0,
        last_at REAL NOT NULL DEFAULT 0,
        "group" TEXT NOT NULL DEFAULT 'everyone',
        served_at REAL NOT NULL DEFAULT 0       -- when a turn of theirs began here, Unix seconds (patrons.py)
    ) WITHOUT ROWID;

    -- What a person was sent on a day (uploads/quota.py). The last seven days; older ones are deleted.
    CREATE TABLE sent_on_day(
        person BLOB NOT NULL,
        day INTEGER NOT NULL,                   -- of the local calendar: date.toordinal
        bytes INTEGER NOT NULL,
        PRIMARY KEY(person, day)
    ) WITHOUT ROWID;

    -- Our place in the queue of somebody, as they signed it (downloads/waiting.py).
    CREATE TABLE queue_ticket(
        uploader BLOB PRIMARY KEY,
        ticket BLOB NOT NULL,
        kept_at REAL NOT NULL                   -- Unix seconds
    ) WITHOUT ROWID;

    -- What went from us to somebody (given 1) or from them to us (given 0), ever (credit/ledger.py). Both
    -- numbers are in bytes and only grow.
    CREATE TABLE credit(
        person BLOB NOT NULL,
        given INTEGER NOT NULL,
        counted INTEGER NOT NULL DEFAULT 0,     -- by our own count
        signed INTEGER NOT NULL DEFAULT 0,      -- by the newest receipt that both signed
        receipt BLOB,                           -- that receipt; NULL until there is one
        PRIMARY KEY(person, given)
    ) WITHOUT ROWID;

    -- Which receipts an index server was told (credit/reporting.py): its total when it was.
    CREATE TABLE receipt_reported(
        server BLOB NOT NULL,
        person BLOB NOT NULL,
        given INTEGER NOT NULL,
        signed INTEGER NOT NULL,
        PRIMARY KEY(server, person, given)
    ) WITHOUT ROWID;

    -- What the person wishes for (wishes/store.py). `number` is what index servers know it by.
    CREATE TABLE wish(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        number INTEGER NOT NULL UNIQUE,
        query TEXT NOT NULL,
        automatic INTEGER NOT NULL,             -- 1: what is found is downloaded by itself
        added_at REAL NOT NULL                  -- Unix seconds
    );

    -- What was found for a wish.
    CREATE TABLE wish_hit(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        wish INTEGER NOT NULL REFERENCES wish ON DELETE CASCADE,
        key BLOB NOT NULL,                      -- equal for the same file, whichever server tells it
        body BLOB NOT NULL,                     -- JSON of a ResultView
        found_at REAL NOT NULL,
        shown INTEGER NOT NULL DEFAULT 0,
        to_fetch INTEGER NOT NULL,              -- 1: to be downloaded by itself, once the rules let it
        fetched_at REAL,                        -- when that began
        download INTEGER,                       -- its number
        note TEXT NOT NULL DEFAULT '',          -- why that was left to the person
        UNIQUE(wish, key)
    );
    CREATE INDEX wish_hit_to_fetch ON wish_hit(id) WHERE to_fetch;

    -- Index servers that may keep wishes of ours.
    CREATE TABLE wish_server(server BLOB PRIMARY KEY) WITHOUT ROWID;

    -- The results of the last search (search.py), so that `get NUMBER` works in a later command.
    CREATE TABLE kept_result(
        number INTEGER PRIMARY KEY,
        body BLOB NOT NULL                      -- JSON of a ResultView
    );

    -- How that search goes on (search.py): what to ask each server for the next page.
    CREATE TABLE kept_search(
        server BLOB PRIMARY KEY,
        question BLOB NOT NULL,                 -- wire Search
        query TEXT NOT NULL,                    -- as it was typed
        total INTEGER NOT NULL,                 -- how many results there are in all
        shown INTEGER NOT NULL                  -- how many of kept_result were shown
    ) WITHOUT ROWID;
    """,
)
