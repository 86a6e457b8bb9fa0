"""How `after/` is made of `before/`: the edits that teams were promised, and two files.

python -m tests.examples.edits     writes after/ again
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
APPLICATION = ROOT / "examples" / "assessment_app"
#: The browser client as it is built; `after/` has a copy.
BUILT_CLIENT = ROOT / "src" / "wherry" / "static" / "chunkedUploadApi.js"
#: What running the example leaves in its folders.
LEFT_BY_RUNNING = shutil.ignore_patterns(
    "__pycache__", "node_modules", "dist", "run", "*.sqlite*", "videos", "files", "temp_chunks"
)


@dataclass(frozen=True)
class Edit:
    """In `file`, `old` stands once and becomes `new`."""

    file: str
    old: str
    new: str


SERVER = "backend/server.py"
PAGE = "frontend/src/pages/UploadPage.js"
ROUTER = "backend/routers/chunked_upload_router.py"
CLIENT = "frontend/src/api/chunkedUploadApi.js"

#: The promise, word for word; `{ … }` of the last is what stood there already.
PROMISED = (
    "from routers.chunked_upload_router import router as chunked_upload_router",
    "api_router.include_router(chunked_upload_router)",
    "import { uploadVideoChunked } from '../api/chunkedUploadApi';",
    "const response = await uploadVideoChunked(file, (progress) => {",
)

EDITS = (
    Edit(
        SERVER,
        "from auth import User, current_user, sign_in, sign_out\n",
        f"from auth import User, current_user, sign_in, sign_out\n{PROMISED[0]}\n",
    ),
    Edit(
        SERVER,
        "\napp.include_router(api_router)\n",
        f"\n{PROMISED[1]}\napp.include_router(api_router)\n",
    ),
    Edit(PAGE, "import { uploadVideo } from '../api/assessmentApi';", PROMISED[2]),
    Edit(PAGE, "const response = await uploadVideo(file, (progress) => {", PROMISED[3]),
)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a tree by its name in it, without what running leaves there."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_BY_RUNNING(str(folder), [path.name]):
            continue
        if path.is_dir():
            found |= {f"{path.name}/{name}": data for name, data in tree(path).items()}
        else:
            found[path.name] = path.read_bytes()
    return found


def edited(before: dict[str, bytes]) -> dict[str, bytes]:
    """The tree with the edits in it. Raises `ValueError` for one that does not fit."""
    after = dict(before)
    for edit in EDITS:
        text = after[edit.file].decode()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.file} has {text.count(edit.old)} × {edit.old!r}")
        after[edit.file] = text.replace(edit.old, edit.new).encode()
    return after


def main() -> None:
    after = APPLICATION / "after"
    wanted = edited(tree(APPLICATION / "before"))
    wanted[ROUTER] = (after / ROUTER).read_bytes()
    wanted[CLIENT] = BUILT_CLIENT.read_bytes()
    for name in tree(after).keys() - wanted.keys():
        (after / name).unlink()
    for name, data in wanted.items():
        (after / name).parent.mkdir(parents=True, exist_ok=True)
        (after / name).write_bytes(data)


if __name__ == "__main__":
    main()
