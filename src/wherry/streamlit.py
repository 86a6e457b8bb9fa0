"""A Streamlit component that uploads files of any size to Wherry, past Streamlit's own uploader.

    from wherry.streamlit import wherry_upload

    for file in wherry_upload("/api"):
        st.write(file.filename, file.size)

Rule 1: Streamlit never gets the bytes. They go from the browser to Wherry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import streamlit as st

from wherry.element import COMPONENT, Credentials, UploadedFile, parse_files, render_settings

__all__ = ["UploadedFile", "wherry_upload"]


def wherry_upload(
    endpoint: str = "/api",
    *,
    key: str = "wherry_upload",
    accept: str = "",
    multiple: bool = False,
    disabled: bool = False,
    headers: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    credentials: Credentials = "same-origin",
    on_change: Callable[[], None] | None = None,
) -> list[UploadedFile]:
    """Show the uploader; the files that have arrived so far. The script runs again for each.

    `endpoint`: the address before `/chunked-upload`, as the browser reaches it. `key`: another one
    for each uploader of the app; the uploads go on as long as the script shows the same key.
    `accept`: as of `<input type="file">`. `headers`: with each request, like `Authorization`; a run
    of the script may renew them. `metadata`: passed to `on_complete`. `credentials`: `include` for
    cookies of another origin. `on_change`: called before the script runs again.

    Without `multiple`, a new file replaces the one before. Raises `ValueError` if the browser sent
    something that the element does not send.
    """
    settings = render_settings(
        endpoint=endpoint,
        accept=accept,
        multiple=multiple,
        disabled=disabled,
        headers=headers,
        metadata=metadata,
        credentials=credentials,
    )
    shown = _component()(key=key, data=settings, on_files_change=on_change or _nothing)
    return parse_files(shown.get("files"))


# Not on import: an ASGI application is imported before Streamlit runs.
@cache
def _component() -> Any:
    # Streamlit finds the folder of the file by this name, in wherry/pyproject.toml.
    return st.components.v2.component("wherry.upload", js=COMPONENT)


def _nothing() -> None:
    """Streamlit keeps only the values of a component that have a callback."""
