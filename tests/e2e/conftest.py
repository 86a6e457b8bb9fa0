"""Files to send, and the whole chunked API from the outside."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Self

import httpx2


def make_file(path: Path, size: int, seed: int = 1) -> Path:
    """A file of random bytes, the same for the same seed."""
    rng = random.Random(seed)
    with path.open("wb") as file:
        for at in range(0, size, 1 << 20):
            file.write(rng.randbytes(min(1 << 20, size - at)))
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Api:
    """The chunked API of a running server, without the client's cleverness."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx2.Client(base_url=f"{url}/api", headers=headers, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def init(self, size: int, **more: object) -> dict[str, object]:
        wanted = {"filename": "film.mp4", "size": size} | more
        answer = self.http.post("/chunked-upload/init", json=wanted)
        assert answer.is_success, answer.text
        found: dict[str, object] = answer.json()
        return found

    def chunk(self, upload_id: object, offset: int, data: bytes) -> httpx2.Response:
        params: dict[str, str | int] = {"upload_id": str(upload_id), "offset": offset}
        return self.http.post("/chunked-upload/chunk", params=params, content=data)

    def complete(self, upload_id: object) -> httpx2.Response:
        return self.http.post("/chunked-upload/complete", json={"upload_id": upload_id})

    def status(self, upload_id: object) -> dict[str, object]:
        found: dict[str, object] = self.http.get(f"/chunked-upload/{upload_id}").json()
        return found
