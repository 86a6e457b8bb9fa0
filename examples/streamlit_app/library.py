"""What the page and the upload side share: who sends a file, and which files there are."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

DATA = Path(os.environ.get("APP_DATA", "data")).absolute()
DATA.mkdir(parents=True, exist_ok=True)

_signer = URLSafeTimedSerializer(os.environ["SECRET_KEY"], salt="upload")


def token_for(user: str) -> str:
    """Lets this user's browser upload. Each run of the page hands out a new one."""
    token: str = _signer.dumps(user)
    return token


def user_of(token: str) -> str | None:
    try:
        user: str = _signer.loads(token, max_age=12 * 3600)
    except BadSignature:
        return None
    return user


@contextmanager
def _records() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(DATA / "library.sqlite")
    try:
        with connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, owner TEXT, path TEXT)"
            )
            yield connection
    finally:
        connection.close()


def add(upload_id: str, owner: str, path: Path) -> None:
    with _records() as records:
        records.execute(
            "INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (upload_id, owner, str(path))
        )


def path_of(upload_id: str, owner: str) -> Path | None:
    """None for a file of somebody else: the id comes from a browser, which may make one up."""
    query = "SELECT path FROM files WHERE id = ? AND owner = ?"
    with _records() as records:
        found = records.execute(query, (upload_id, owner)).fetchone()
    return Path(found[0]) if found else None
