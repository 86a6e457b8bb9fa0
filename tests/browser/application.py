"""The example application with its modules in reach of the browser's console.

Rule 1: only what a test needs is changed: the modules that the page is built of are put
into `window`, their `smartUpload` beside them, as a developer would do to try them; and
the pages may come from any port, for the proxies of tests have ports of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from tests.e2e.conftest import sha256
from tests.examples.edits import after
from tests.examples.running import TIMEOUT, Example, running_example

from wherry.testing.proxy import Fault, LimitingProxy

AUTH = "backend/auth.py"
MAIN = "frontend/src/main.js"
#: Word for word as the team wrote it; the imports are what it needs where it stands.
SMART_UPLOAD = """\
export const smartUpload = async (file, onProgress) => {
  try { return await uploadVideo(file, onProgress); }
  catch (error) {
    if (error.message.includes('413') || error.message.includes('too large')) {
      console.log('Falling back to chunked upload...');
      return await uploadVideoChunked(file, onProgress);
    }
    throw error;
  }
};
"""
IMPORTS = """\
import { uploadVideo } from './assessmentApi';
import { uploadVideoChunked } from './chunkedUploadApi';

"""
IN_REACH = """
import * as client from './api/chunkedUploadApi';
import { uploadVideo } from './api/assessmentApi';
import { smartUpload } from './api/smartUpload';
Object.assign(window, { client, theirs: { uploadVideo, smartUpload } });
"""
#: What the pages of tests come from, behind whatever stands in front.
PAGES = ("http://127.0.0.1:", "http://app.wherry.test:")


@contextmanager
def application(limit: str = "1m", changes: Mapping[str, str] | None = None) -> Iterator[Example]:
    """The example with Wherry in it, behind an nginx with this limit for bodies."""
    reachable = {
        "frontend/src/api/smartUpload.js": IMPORTS + SMART_UPLOAD,
        MAIN: text_of(MAIN) + IN_REACH,
        **replaced(AUTH, "origin not in ORIGINS", f"not origin.startswith({PAGES})"),
    }
    with running_example("after", limit, reachable | dict(changes or {})) as example:
        yield example


def text_of(file: str) -> str:
    """A file of the application as it is."""
    return after()[file].decode()


def replaced(file: str, old: str, new: str) -> dict[str, str]:
    """The change of one passage. Raises `ValueError` where it does not stand once."""
    text = text_of(file)
    if text.count(old) != 1:
        raise ValueError(f"{file} has {text.count(old)} × {old!r}")
    return {file: text.replace(old, new)}


def videos(example: Example) -> set[str]:
    """The names of all videos that the application has."""
    return {path.name for path in (example.data / "videos").iterdir()}


def unfinished(example: Example) -> list[str]:
    """The ids of the uploads whose bytes are kept."""
    return [path.name for path in (example.data / "uploads" / "temp_chunks").iterdir()]


def check_arrived(example: Example, result: dict[str, Any], file: Path) -> None:
    """The application has an assessment of it, and its bytes are those of `file`."""
    video = example.data / "videos" / f"{result['assessment_id']}{file.suffix}"
    assert video.stat().st_size == file.stat().st_size
    assert sha256(video) == sha256(file)
    with closing(sqlite3.connect(example.data / "app.sqlite")) as database:
        wanted = (result["assessment_id"], str(video))
        found = database.execute("SELECT 1 FROM assessments WHERE id = ? AND video = ?", wanted)
        assert found.fetchall() == [(1,)]


def expire_logins(example: Example) -> None:
    """As after twelve hours: nobody is signed in any more."""
    file = example.data / "app.sqlite"
    with closing(sqlite3.connect(file, timeout=TIMEOUT)) as database, database:
        database.execute("UPDATE sessions SET expires = 0")


def state_of(example: Example, upload_id: str) -> str:
    """As the server tells it to alice."""
    url = f"{example.url}/api/chunked-upload/{upload_id}"
    found: str = httpx2.get(url, cookies=example.sign_in("alice")).json()["state"]
    return found


def refusals_of_nginx(example: Example) -> int:
    """How many requests it answered with 413, by its own log."""
    log = (example.root / "run" / "ingress-access.log").read_text()
    return log.count('" 413 ')


@contextmanager
def faulty_ingress(
    example: Example, *faults: Fault, path: str = "", max_body: int | None = None
) -> Iterator[LimitingProxy]:
    """A proxy before the application's own ingress; the faults are for requests to `path`."""
    address = httpx2.URL(example.url)
    faults = tuple(replace(fault, path=path) for fault in faults)
    proxy = LimitingProxy(address.host, address.port or 0, max_body, faults)
    with proxy.run_in_thread() as ingress:
        yield ingress
