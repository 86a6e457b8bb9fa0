"""The element `<wherry-upload>` for applications that write their page in Python.

`wherry.streamlit` and `wherry.gradio` share this: what they tell it, and what it tells them.

Rule 1: what comes from a browser is checked for its shape, and not believed. Only the server knows
which files there are, and whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

#: The folder with the browser's files, and the one of them that shows the element.
STATIC = Path(str(files("wherry") / "static"))
COMPONENT = "wherryComponent.js"
#: What that one imports, and what that imports.
SERVED = (COMPONENT, "wherryUpload.js", "chunkedUploadApi.js")

_ID = re.compile(r"[0-9a-f]{32}")

Credentials = Literal["same-origin", "include", "omit"]


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file whose upload is complete, as a browser says it. `size` in bytes.

    `id`: of the upload; 32 hexadecimal digits, so it is safe in a path. `assessment_id`: what
    `on_complete` returned, or the id of Wherry's own assessment, or None.
    """

    id: str
    filename: str
    size: int
    assessment_id: str | None


def render_settings(
    *,
    endpoint: str,
    accept: str,
    multiple: bool,
    disabled: bool,
    headers: Mapping[str, str] | None,
    metadata: Mapping[str, str] | None,
    credentials: Credentials,
) -> dict[str, Any]:
    """The arguments of a component as `wherryComponent.js` reads them."""
    return {
        "endpoint": endpoint,
        "accept": accept,
        "multiple": multiple,
        "disabled": disabled,
        "headers": dict(headers or {}),
        "metadata": dict(metadata or {}),
        "credentials": credentials,
    }


def parse_files(value: object) -> list[UploadedFile]:
    """What the element told, in the order of the page; empty for None.

    Raises `ValueError` if it is nothing that the element tells.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("the browser sent something other than a list of uploads")
    return [_parse_file(each) for each in value]


def _parse_file(value: object) -> UploadedFile:
    match value:
        case {
            "id": str(id_),
            "filename": str(filename),
            "size": int(size),
            "assessment_id": str() | None as assessment_id,
        } if _ID.fullmatch(id_) and size >= 0 and not isinstance(size, bool):
            return UploadedFile(id_, filename, size, assessment_id)
    raise ValueError("the browser sent something other than an upload")
