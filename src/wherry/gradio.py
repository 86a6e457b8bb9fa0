"""A Gradio component that uploads files of any size to Wherry, past Gradio's own uploader.

    from wherry.gradio import wherry_upload

    with gr.Blocks() as demo:
        uploader = wherry_upload("/api")
        uploader.change(process, inputs=uploader, outputs=...)

Rule 1: Gradio never gets the bytes. They go from the browser to Wherry.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr
from gradio.route_utils import API_PREFIX

from wherry.element import (
    COMPONENT,
    SERVED,
    STATIC,
    Credentials,
    UploadedFile,
    parse_files,
    render_settings,
)

__all__ = ["UploadedFile", "wherry_upload"]

# Not by Gradio's `head`, which drops the type of a script. No name of a setting is quoted here,
# because Gradio would take it for the name of an event.
_SHOW = """
import(props.module.url).then(({ show, clear }) => {
  const tell = (files) => { props.value = files }
  const draw = () => {
    if (!props.value?.length) clear(element)
    show(element, props, tell)
  }
  watch(Object.keys(props), draw)
  draw()
})
"""


def wherry_upload(
    endpoint: str = "/api",
    *,
    accept: str = "",
    multiple: bool = False,
    disabled: bool = False,
    headers: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    credentials: Credentials = "same-origin",
    **options: Any,
) -> gr.HTML:
    """The uploader. Its value is the list of the files that have arrived, as `UploadedFile`s.

    `endpoint`: the address before `/chunked-upload`, as the browser reaches it. `accept`: as of
    `<input type="file">`. `headers`: with each request, of all visitors; a function that returns
    `gr.update(headers=...)` sets them for one. `metadata`: passed to `on_complete`. `credentials`:
    `include` for cookies of another origin. `options`: of `gr.HTML`, like `visible` and `elem_id`.

    Without `multiple`, a new file replaces the one before. The event `change` comes whenever the
    list changes. A function that returns None for the uploader empties it.
    """
    gr.set_static_paths([STATIC / name for name in SERVED])
    module = str(STATIC / COMPONENT)
    settings = render_settings(
        endpoint=endpoint,
        accept=accept,
        multiple=multiple,
        disabled=disabled,
        headers=headers,
        metadata=metadata,
        credentials=credentials,
    )
    # So marked, Gradio completes the URL for wherever it is mounted.
    meta = {"_type": "gradio.FileData"}
    url = f"{API_PREFIX}/file={module}"
    return WherryUpload(
        html_template="",
        js_on_load=_SHOW,
        apply_default_css=False,
        module={"path": module, "url": url, "meta": meta},
        **settings,
        **options,
    )


class _Unwritten(type(gr.HTML)):  # type: ignore[misc]
    """Makes a class of components as Gradio does, but writes no `gradio.pyi` beside this file."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, members)


class WherryUpload(gr.HTML, metaclass=_Unwritten):  # type: ignore[misc]
    """What `wherry_upload` makes. Gradio makes it anew, with the same arguments, at an update."""

    def preprocess(self, payload: object) -> list[UploadedFile]:
        """What functions get. Raises `ValueError` if it is nothing that the element sends."""
        return parse_files(payload)

    def postprocess(self, value: Sequence[UploadedFile] | None) -> list[dict[str, Any]]:
        """What the browser gets."""
        return [asdict(file) for file in value or ()]

    def api_info(self) -> dict[str, Any]:
        text, number = {"type": "string"}, {"type": "integer"}
        properties = {"id": text, "filename": text, "size": number, "assessment_id": text}
        return {"type": "array", "items": {"type": "object", "properties": properties}}

    def example_payload(self) -> list[Any]:
        return []

    def example_value(self) -> list[Any]:
        return []
