"""What is tried with each page, one function a trial. Each returns its figures by name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.pages.browsing import KiB, MiB, Tab, tab
from bench.pages.front import Front, front
from bench.pages.products import Product

if TYPE_CHECKING:
    from playwright.sync_api import Route

Figures = Mapping[str, float | str]

MANY = 1000
#: A file of 20 GB that takes no room on the disk, and how long it is uploaded, in seconds.
HUGE, HUGE_FOR = 20 * 10**9, 20
#: How long a trial may take to end, in seconds.
PATIENCE = 90
#: As of Lighthouse's phone: bytes a second, milliseconds, and how much slower the processor is.
PHONE = {"downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8, "latency": 150}
SLOWER = 4
#: Milliseconds without a long task, after which the page counts as quiet.
QUIET = 1500
FIND = """
async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
  .reduce((sum, { nodes }) => sum + nodes.length, 0)
"""
IS_TOLD = re.compile(r"offline|no internet|internet connection|trying again", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where trials are made, and the product."""

    product: Product
    folder: Path
    cache: Path
    built: Path

    def serve(self, name: str, stack: ExitStack, is_narrow: bool = False) -> Front:
        """A server that has nothing yet, behind nginx."""
        folder = self.folder / name
        (folder / "server").mkdir(parents=True)
        port = stack.enter_context(self.product.serve(folder / "server", self.cache))
        return stack.enter_context(front(folder / "nginx", self.built, port, is_narrow))

    def at(self, name: str, stack: ExitStack, is_narrow: bool = False) -> tuple[Tab, Front]:
        """A tab, and such a server."""
        served = self.serve(name, stack, is_narrow)
        return stack.enter_context(tab(self.product, served.url)), served

    def file(self, name: str, size: int) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            file.truncate(size)
        return path


def start(place: Place) -> Figures:
    """What is loaded first, and when the page can be used: here, and on a phone."""
    figures: dict[str, float | str] = {}
    with ExitStack() as stack:
        served = place.serve("start", stack)
        for where in ("here", "phone"):
            with tab(place.product, served.url) as new:
                loaded = _loading(new, where == "phone")
                new.page.wait_for_timeout(QUIET)
                figures["KiB loaded, compressed"] = sum(loaded) / KiB
                figures[f"ms until it can be used, {where}"] = new.page.evaluate(_USABLE)
                if where == "here":
                    figures["ms of processor until then"] = new.processor() * 1000
    return figures


_USABLE = """
() => seen.tasks.reduce((at, [start, took]) => Math.max(at, start + took), seen.ready)
"""


def _loading(new: Tab, is_phone: bool) -> list[float]:
    """Opens the page. The sizes of what it loaded, compressed, without answers of an API."""
    kinds: dict[str, str] = {}
    sizes: list[float] = []
    new.cdp.send("Network.enable")
    new.cdp.on("Network.responseReceived", lambda r: kinds.update({r["requestId"]: r["type"]}))
    new.cdp.on(
        "Network.loadingFinished",
        lambda end: sizes.append(
            end["encodedDataLength"]
            if kinds.get(end["requestId"]) in ("Document", "Script", "Stylesheet")
            else 0
        ),
    )
    if is_phone:
        new.slow_line(**PHONE)
        new.cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    new.open()
    return sizes


def axe(place: Place) -> Figures:
    """How many elements axe-core complains of in four states."""
    figures: dict[str, float | str] = {}
    script = (place.built / "axe.min.js").read_text()
    sending = re.compile(place.product.sending)
    acts: dict[str, Callable[[Route], None] | None] = {
        "start": None,
        "uploading": lambda route: None,
        "failed": lambda route: route.fulfill(status=400, body="refused"),
        "finished": None,
    }
    for state, act in acts.items():
        with ExitStack() as stack:
            one, _ = place.at(f"axe-{state}", stack)
            if act is not None:
                one.page.route(sending, act)
            one.open()
            if state != "start":
                one.choose(place.file("film.mp4", 3 * MiB))
            if state in ("failed", "finished"):
                one.wait_until_over(PATIENCE)
            one.page.wait_for_timeout(2500)
            one.page.evaluate(script)
            figures[f"axe, {state}"] = one.page.evaluate(FIND)
            one.page.unroute_all(behavior="ignoreErrors")
    return figures


def many(place: Place) -> Figures:
    """A thousand small files: chosen, listed, uploaded."""
    files = [place.file(f"IMG_{number:04}.dat", 10 * KiB) for number in range(MANY)]
    with ExitStack() as stack:
        one, _ = place.at("many", stack)
        one.open()
        heap, memory = one.heap(), one.memory()
        began = time.monotonic()
        one.choose(*files)
        while one.counts().listed < MANY and time.monotonic() < began + PATIENCE:
            one.page.wait_for_timeout(20)
        listed = time.monotonic() - began
        peak = memory
        while time.monotonic() < began + 2 * PATIENCE:
            peak = max(peak, one.memory())
            found = one.wait_until_over(0.5)
            if found.arrived + found.stopped >= MANY:
                break
        took = time.monotonic() - began
        tasks = one.page.evaluate("seen.tasks.map(([, took]) => took)")
        return {
            "s until 1,000 are listed": listed,
            "s until 1,000 have arrived": took if found.arrived == MANY else f"{found.arrived}",
            "longest task, ms": max(tasks, default=0.0),
            "elements in the document": one.page.evaluate("document.querySelectorAll('*').length"),
            "MiB of JavaScript for 1,000": (one.heap() - heap) / MiB,
            "MiB of the process for 1,000, peak": (peak - memory) / MiB,
            "MiB of the process at the start": memory / MiB,
        }


def huge(place: Place) -> Figures:
    """A sparse file of 20 GB, uploaded for a while."""
    file = place.file("huge.bin", HUGE)
    with ExitStack() as stack:
        one, _ = place.at("huge", stack)
        one.open()
        heap, memory = one.heap(), one.memory()
        peak_heap, peak = heap, memory
        one.choose(file)
        ends = time.monotonic() + HUGE_FOR
        while time.monotonic() < ends:
            one.page.wait_for_timeout(250)
            used: int = one.cdp.send("Runtime.getHeapUsage")["usedSize"]
            peak_heap, peak = max(peak_heap, used), max(peak, one.memory())
        found = one.counts()
        return {
            "20 GB": "stopped" if found.stopped else "under way",
            "MiB of JavaScript for 20 GB, peak": (peak_heap - heap) / MiB,
            "MiB of the process for 20 GB, peak": (peak - memory) / MiB,
        }


def narrow(place: Place) -> Figures:
    """Six MiB through nginx with its default limit of 1 MiB."""
    with ExitStack() as stack:
        one, _ = place.at("narrow", stack, is_narrow=True)
        one.open()
        began = time.monotonic()
        one.choose(place.file("narrow.mp4", 6 * MiB))
        found = one.wait_until_over(PATIENCE)
        took = f"{time.monotonic() - began:.1f} s"
        ended = "arrives" if found.arrived else "fails" if found.stopped else "does not end"
        return {"at a limit of 1 MiB": f"{ended}, {took}"}


def reload(place: Place) -> Figures:
    """The page is loaded again in the middle of 24 MiB."""
    size = 24 * MiB
    file = place.file("reload.mp4", size)
    with ExitStack() as stack:
        one, served = place.at("reload", stack)
        one.open()
        one.slow_line(uploadThroughput=2 * MiB)
        one.choose(file)
        one.page.wait_for_timeout(6000)
        one.page.reload()
        at = time.time()
        one.page.wait_for_function("seen.ready !== null")
        one.slow_line()
        one.page.wait_for_timeout(5000)
        by_itself = one.counts().listed > 0
        if not by_itself:
            one.choose(file)
        found = one.wait_until_over(PATIENCE)
        again = served.bytes_since(at) / MiB
        how = "by itself" if by_itself else "the file is chosen again"
        if not found.arrived:
            how += ", does not arrive"
        return {"after a reload": f"{how}; {again:.0f} of 24 MiB are sent after it"}


def offline(place: Place) -> Figures:
    """The network goes for eight seconds in the middle of 24 MiB."""
    with ExitStack() as stack:
        one, _ = place.at("offline", stack)
        one.open()
        one.slow_line(uploadThroughput=2 * MiB)
        one.choose(place.file("film.mp4", 24 * MiB))
        one.page.wait_for_timeout(4000)
        one.slow_line(offline=True)
        one.page.wait_for_timeout(8000)
        told = IS_TOLD.search(one.page.inner_text("body"))
        one.slow_line()
        found = one.wait_until_over(PATIENCE)
        said = "says so" if told else "says nothing"
        ended = "continues by itself" if found.arrived else "stops" if found.stopped else "stands"
        return {"offline for 8 s": f"{said}; {ended}"}


TRIALS: tuple[Callable[[Place], Figures], ...] = (
    start,
    axe,
    many,
    huge,
    narrow,
    reload,
    offline,
)
#: Of these, the medians of several rounds are taken.
TIMED = (start,)
