"""The three pages: where each is, what serves it, and how its state is read.

What is not a default: Uppy begins by itself (`autoProceed`), as the other two do. FilePond takes
several files (`allowMultiple`) and sends large ones in chunks (`chunkUploads`), because it cannot
resume otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers.tusd import Tusd
from wherry.testing.server import serving

#: Each is `[listed, arrived, stopped]`.
_WHERRY = r"""
() => {
  const bar = document.querySelector('.status strong')?.textContent.match(/\d[\d,]*/g)
  if (bar) {
    const [done, all] = bar.map((text) => Number(text.replace(',', '')))
    const stopped = document.querySelector('.status .state span').textContent.match(/(\d+) stopped/)
    return [all, done, Number(stopped?.[1] ?? 0)]
  }
  const of = (state) => document.querySelectorAll(`article.upload${state}`).length
  return [of(''), of('.done'), of('.failed') + of('.refused')]
}
"""
_UPPY = """
() => {
  const files = uppy.getFiles()
  const done = files.filter((file) => file.progress.uploadComplete).length
  return [files.length, done, files.filter((file) => file.error).length]
}
"""
_FILEPOND = """
() => {
  const files = pond.getFiles()
  const of = (...states) => files.filter(({ status }) => states.includes(status)).length
  return [files.length, of(5), of(6, 8, 10)]
}
"""


@dataclass(frozen=True)
class Product:
    title: str
    path: str
    #: Of what one clicks to choose files, and of the field that takes them.
    chooser: str
    field: str
    #: Of the requests that carry the bytes of a file.
    sending: str
    counts: str
    #: A port, for the folder with the data.
    serve: Callable[[Path, Path], AbstractContextManager[int]]


@contextmanager
def _wherry(data: Path, cache: Path) -> Iterator[int]:
    with serving(data / "data", assessment=False, front_ends=True) as server:
        yield server.port


@contextmanager
def _tusd(data: Path, cache: Path) -> Iterator[int]:
    peer = Tusd()
    peer.install(cache)
    with peer.serve(data, cache) as server:
        yield server.port


PRODUCTS = (
    Product(
        "Wherry",
        "/",
        ".chooser button.primary",
        'input[aria-label="Files"]',
        r"/chunked-upload/(chunk|upload)\b",
        _WHERRY,
        _wherry,
    ),
    Product(
        "Uppy Dashboard 6.0.3 (core 6.3.1, tus 6.0.0)",
        "/peers/uppy/uppy.html",
        ".uppy-Dashboard-browse",
        "input.uppy-Dashboard-input >> nth=0",
        r"/files/",
        _UPPY,
        _tusd,
    ),
    Product(
        "FilePond 4.32.12",
        "/peers/filepond/filepond.html",
        ".filepond--drop-label label",
        ".filepond--browser",
        r"/chunked-upload/filepond\b",
        _FILEPOND,
        _wherry,
    ),
)
