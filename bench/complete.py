"""Compares Wherry's completion with the usual method, which joins one file per chunk at the end.

    .venv/bin/python bench/complete.py

Both use the same disk in the same run. About 2 GB are written to a temporary folder, which is
removed afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from wherry.core.limits import MiB
from wherry.testing.server import Server, serving

CHUNK = 5 * MiB
SIZES = (5 * MiB, 50 * MiB, 500 * MiB)
ROUNDS = 3
JSON = {"Content-Type": "application/json"}


def post(connection: HTTPConnection, path: str, body: bytes) -> dict[str, object]:
    connection.request("POST", f"/api/chunked-upload/{path}", body, JSON)
    answer = connection.getresponse()
    found: dict[str, object] = json.loads(answer.read())
    if answer.status not in (200, 201):
        raise RuntimeError(f"{path}: {found}")
    return found


def wherry(server: Server, size: int) -> float:
    """Seconds from the request for completion to its answer."""
    connection = HTTPConnection("127.0.0.1", server.port)
    wanted = json.dumps({"filename": "film.mp4", "size": size}).encode()
    upload_id = post(connection, "init", wanted)["upload_id"]
    data = os.urandom(CHUNK)
    for at in range(0, size, CHUNK):
        post(connection, f"chunk?upload_id={upload_id}&offset={at}", data)
    begun = time.perf_counter()
    post(connection, "complete", json.dumps({"upload_id": upload_id}).encode())
    taken = time.perf_counter() - begun
    connection.close()
    for file in (server.data / "files").iterdir():
        file.unlink()
    return taken


def concatenation(folder: Path, size: int) -> float:
    """Seconds to join one file per chunk, without any sync, as this method is usually used."""
    chunks = folder / "chunks"
    chunks.mkdir()
    data = os.urandom(CHUNK)
    for number in range(size // CHUNK):
        (chunks / f"{number:05}").write_bytes(data)
    begun = time.perf_counter()
    with (folder / "whole").open("wb") as whole:
        for chunk in sorted(chunks.iterdir()):
            with chunk.open("rb") as part:
                shutil.copyfileobj(part, whole)
    shutil.rmtree(chunks)
    taken = time.perf_counter() - begun
    (folder / "whole").unlink()
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name:
        folder = Path(name)
        with serving(folder / "data", assessment=False) as server:
            print("| size | Wherry | joining chunk files | ratio |")
            print("|---|---|---|---|")
            for size in SIZES:
                # Interleaved, and the median of three, because other load disturbs both.
                rounds = [
                    (wherry(server, size), concatenation(folder, size)) for _ in range(ROUNDS)
                ]
                ours, theirs = (sorted(column)[ROUNDS // 2] for column in zip(*rounds, strict=True))
                print(
                    f"| {size // MiB} MiB | {ours * 1000:.1f} ms | {theirs * 1000:.0f} ms "
                    f"| {theirs / ours:.1f} |"
                )


main()
