"""Who is signed in: a session cookie, checked against the database."""

import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass

from fastapi import HTTPException, Request, Response

from database import connect

COOKIE = "session"
SESSION_SECONDS = 12 * 3600

#: Where our own pages are, as browsers name it: scheme, host and port, with blanks between.
ORIGINS = os.environ.get("APP_ORIGINS", "http://localhost:3000").split()


@dataclass(frozen=True)
class User:
    id: int
    name: str


def add_user(name: str, password: str) -> None:
    """Add a user, or give a user a new password."""
    salt = secrets.token_bytes(16)
    with connect() as database:
        database.execute(
            "INSERT INTO users (name, salt, password) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET salt = excluded.salt, password = excluded.password",
            (name, salt, _hash(password, salt)),
        )


def sign_in(name: str, password: str, request: Request, response: Response) -> User:
    check_origin(request)
    with connect() as database:
        found = database.execute(
            "SELECT id, salt, password FROM users WHERE name = ?", (name,)
        ).fetchone()
    user_id, salt, expected = found or (0, b"", b"")  # as much work for a name nobody has
    if not hmac.compare_digest(_hash(password, salt), expected):
        raise HTTPException(401, "the name or the password is wrong")
    token = secrets.token_urlsafe(32)
    with connect() as database:
        database.execute("DELETE FROM sessions WHERE expires < ?", (time.time(),))
        database.execute(
            "INSERT INTO sessions VALUES (?, ?, ?)",
            (_digest(token), user_id, time.time() + SESSION_SECONDS),
        )
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return User(user_id, name)


def sign_out(request: Request, response: Response) -> None:
    check_origin(request)
    with connect() as database:
        token = _digest(request.cookies.get(COOKIE, ""))
        database.execute("DELETE FROM sessions WHERE token = ?", (token,))
    response.delete_cookie(COOKIE)


def current_user(request: Request) -> User:
    """A dependency: who asks. 401 for somebody who is not signed in."""
    check_origin(request)
    with connect() as database:
        found = database.execute(
            "SELECT users.id, name FROM sessions JOIN users ON users.id = user_id"
            " WHERE token = ? AND expires > ?",
            (_digest(request.cookies.get(COOKIE, "")), time.time()),
        ).fetchone()
    if found is None:
        raise HTTPException(401, "sign in first")
    return User(*found)


def check_origin(request: Request) -> None:
    """Refuse a request that a page of another site made the browser send."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in ORIGINS:
        raise HTTPException(403, f"requests from {origin} are not allowed, see APP_ORIGINS")


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
