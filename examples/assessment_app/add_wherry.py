"""Makes `after/`: the application in `before/` with Wherry in it. Prints what differs.

    python add_wherry.py

Four lines are edited and two files are added. What running the application has left in
`after/` (its database, its videos) stays.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: The folders and files that running the application makes.
MADE_BY_RUNNING = {"__pycache__", "node_modules", "dist", "run", "videos", "uploads"}


@dataclass(frozen=True)
class Edit:
    """In `file`, the text `old` becomes `new`."""

    file: str
    old: str
    new: str


SERVER = "backend/server.py"
PAGE = "frontend/src/pages/UploadPage.js"
#: A new file: their login, their processing, their folder. It is in `added/`.
ROUTER = "backend/routers/chunked_upload_router.py"
#: A new file: what `wherry js` prints.
CLIENT = "frontend/src/api/chunkedUploadApi.js"

IMPORT = "from auth import User, current_user, sign_in, sign_out\n"
INCLUDE = "app.include_router(api_router)\n"

EDITS = (
    Edit(
        SERVER,
        IMPORT,
        IMPORT + "from routers.chunked_upload_router import router as chunked_upload_router\n",
    ),
    Edit(SERVER, INCLUDE, "api_router.include_router(chunked_upload_router)\n" + INCLUDE),
    Edit(
        PAGE,
        "import { uploadVideo } from '../api/assessmentApi';\n",
        "import { uploadVideoChunked } from '../api/chunkedUploadApi';\n",
    ),
    Edit(
        PAGE,
        "const response = await uploadVideo(file, (progress) => {\n",
        "const response = await uploadVideoChunked(file, (progress) => {\n",
    ),
)


def is_made_by_running(name: str) -> bool:
    return name in MADE_BY_RUNNING or ".sqlite" in name


def read_tree(folder: Path) -> dict[str, bytes]:
    """The contents of every file below `folder`, by its path there."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        if is_made_by_running(path.name):
            continue
        if path.is_dir():
            inner = read_tree(path)
            found |= {f"{path.name}/{name}": data for name, data in inner.items()}
        else:
            found[path.name] = path.read_bytes()
    return found


def after() -> dict[str, bytes]:
    """The files of `after/`. Raises `ValueError` for an edit that does not fit."""
    tree = read_tree(HERE / "before")
    for edit in EDITS:
        text = tree[edit.file].decode()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.file} has {edit.old!r} {text.count(edit.old)} times")
        tree[edit.file] = text.replace(edit.old, edit.new).encode()
    client = (files("wherry") / "static" / "chunkedUploadApi.js").read_bytes()
    return tree | read_tree(HERE / "added") | {CLIENT: client}


def differences() -> Iterator[str]:
    """The edits as lines of a unified diff, and a line for each file that is new."""
    before, now = read_tree(HERE / "before"), after()
    for name in sorted(now):
        if name not in before:
            yield f"new file: after/{name}\n"
            continue
        old, new = (tree[name].decode().splitlines(keepends=True) for tree in (before, now))
        yield from difflib.unified_diff(old, new, f"before/{name}", f"after/{name}", n=1)


def write(target: Path) -> None:
    for name, data in after().items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write(HERE / "after")
    sys.stdout.writelines(differences())
