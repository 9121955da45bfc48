#!/bin/bash
# SQLite deletes the write-ahead log of a database file that is empty, even through a read-only connection.
#
# Versions: SQLite 3.46.1 (the Python package apsw 3.46.1.0, Python 3); the same in 3.54.1, which is built into
# Parlance.
#
# Behaviour: a database in WAL mode has all of its rows in FILE-wal until a checkpoint. If FILE is emptied (0 bytes:
# `command > FILE`, a failed copy) and FILE-wal is left, the first statement on FILE deletes FILE-wal. The log would
# be enough to bring the rows back. The guess was that a reader ignores the log, or recovers from it; and that
# `mode=ro` (SQLITE_OPEN_READONLY) deletes nothing in any case.
#
# Output seen: "rw: rows in the schema: 0; log there: False" and "ro: rows in the schema: 0; log there: False".
#
# Why it matters here: a look at an emptied store (`parlance history`, or a restart of the server) destroyed what could
# have been recovered. Parlance refuses an empty database beside a log that is not empty before SQLite sees it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install apsw==3.46.1.0
cat >look.py <<'END'
import os
import shutil

import apsw

as_described = True
for mode, flag in (("rw", apsw.SQLITE_OPEN_READWRITE), ("ro", apsw.SQLITE_OPEN_READONLY)):
    os.makedirs(f"{mode}/left")
    writer = apsw.Connection(f"{mode}/a.db")
    writer.pragma("journal_mode", "wal")
    writer.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    # What a writer that is killed leaves; and then the database is emptied.
    shutil.copy(f"{mode}/a.db-wal", f"{mode}/left/a.db-wal")
    open(f"{mode}/left/a.db", "w").close()
    assert os.path.getsize(f"{mode}/left/a.db-wal") > 0
    reader = apsw.Connection(f"file:{mode}/left/a.db?mode={mode}", flags=flag | apsw.SQLITE_OPEN_URI)
    rows = len(list(reader.execute("SELECT * FROM sqlite_schema")))
    is_there = os.path.exists(f"{mode}/left/a.db-wal")
    print(f"{mode}: rows in the schema: {rows}; log there: {is_there}")
    as_described &= rows == 0 and not is_there
raise SystemExit(0 if as_described else 1)
END
venv/bin/python look.py
