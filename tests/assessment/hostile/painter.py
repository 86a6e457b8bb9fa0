"""Makes a picture, and leaves something else behind."""

from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    (folder / "poster.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "rubbish.bin").write_bytes(b"?")
    return {"artefacts": [{"name": "poster.jpg"}]}
