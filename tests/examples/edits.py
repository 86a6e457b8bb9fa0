"""What `examples/assessment_app` promises, and its script that makes `after/` of `before/`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
APPLICATION = ROOT / "examples" / "assessment_app"

#: The promise, word for word; `{ … }` of the last is what stood there already.
PROMISED = (
    "from routers.chunked_upload_router import router as chunked_upload_router",
    "api_router.include_router(chunked_upload_router)",
    "import { uploadVideoChunked } from '../api/chunkedUploadApi';",
    "const response = await uploadVideoChunked(file, (progress) => {",
)


def _load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


add_wherry = _load(APPLICATION / "add_wherry.py")
SERVER: str = add_wherry.SERVER
PAGE: str = add_wherry.PAGE
ROUTER: str = add_wherry.ROUTER
CLIENT: str = add_wherry.CLIENT


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its path there, without what running leaves."""
    found: dict[str, bytes] = add_wherry.read_tree(folder)
    return found


def before() -> dict[str, bytes]:
    return tree(APPLICATION / "before")


def after() -> dict[str, bytes]:
    """The files that the script writes into `after/`."""
    found: dict[str, bytes] = add_wherry.after()
    return found


def write(which: str, target: Path) -> None:
    """Write `before` or `after` into `target`."""
    for name, data in {"before": before, "after": after}[which]().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)


#: For copies of other examples.
LEFT_BY_RUNNING = shutil.ignore_patterns(*add_wherry.MADE_BY_RUNNING, "*.sqlite*")
