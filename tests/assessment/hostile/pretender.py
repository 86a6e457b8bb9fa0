"""Names a file of somebody else's as its picture."""

from pathlib import Path
from typing import Any


def measure(file: str, folder: Path) -> dict[str, Any]:
    return {"artefacts": [{"name": "../../secret.jpg"}]}
