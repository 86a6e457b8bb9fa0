"""A Chromium with one page, and what it uses."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from bench.pages.products import Product
from bench.peers.installing import need_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

MiB = 1 << 20
KiB = 1 << 10
#: How long a browser may take for a trial, in seconds.
LIMIT = 150.0

#: Notes when the page can be used, and the tasks that would have kept its user waiting.
WATCH = """
  window.seen = { ready: null, tasks: [] }
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) seen.tasks.push([startTime, duration])
  }).observe({ type: 'longtask', buffered: true })
  const look = () => {
    const found = document.querySelector(%s)
    if (found?.getClientRects().length) seen.ready = performance.now()
    else requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
"""


@dataclass(frozen=True)
class Counts:
    listed: int
    arrived: int
    stopped: int


class Tab:
    def __init__(self, page: Page, browser: Browser, product: Product, url: str) -> None:
        self.page = page
        self.product = product
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self._browser = browser.new_browser_cdp_session()
        self._url = url + product.path

    def open(self) -> None:
        self.page.goto(self._url)
        self.page.wait_for_function("seen.ready !== null")

    def choose(self, *files: Path) -> None:
        self.page.locator(self.product.field).set_input_files(files)

    def counts(self) -> Counts:
        return Counts(*self.page.evaluate(self.product.counts))

    def wait_until_over(self, seconds: float) -> Counts:
        """Until all files have arrived or stopped, or so long."""
        ends = time.monotonic() + seconds
        while True:
            found = self.counts()
            over = found.listed > 0 and found.arrived + found.stopped >= found.listed
            if over or time.monotonic() > ends:
                return found
            self.page.wait_for_timeout(100)

    def heap(self) -> int:
        """Bytes of JavaScript that are in use, after a collection."""
        self.cdp.send("HeapProfiler.collectGarbage")
        used: int = self.cdp.send("Runtime.getHeapUsage")["usedSize"]
        return used

    def memory(self) -> int:
        """Bytes of the processes that show pages, what they share counted in part."""
        processes = self._browser.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(_pss(each["id"]) for each in processes if each["type"] == "renderer")

    def processor(self) -> float:
        """Seconds of processor time of the process that shows the page."""
        self.cdp.send("Performance.enable")
        found = self.cdp.send("Performance.getMetrics")["metrics"]
        return float({each["name"]: each["value"] for each in found}["ProcessTime"])

    def slow_line(self, **conditions: Any) -> None:
        """`latency` in milliseconds; `downloadThroughput`, `uploadThroughput` in bytes a second."""
        usual = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.cdp.send("Network.enable")
        self.cdp.send("Network.emulateNetworkConditions", usual | conditions)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * KiB for line in lines if line.startswith("Pss:"))


@contextmanager
def tab(product: Product, url: str) -> Iterator[Tab]:
    """A page in a browser of its own, not opened yet."""
    program = need_program("chromium", "Chromium")
    # Chromium's own sandbox does not run as root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        session = browser.new_browser_cdp_session()
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
        [pid] = [each["id"] for each in processes if each["type"] == "browser"]
        # A page that stands still answers no question, and nothing else ends the waiting for it.
        giving_up = threading.Timer(LIMIT, os.kill, (pid, signal.SIGKILL))
        giving_up.start()
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.on("dialog", lambda dialog: dialog.accept())
        page.add_init_script(WATCH % repr(product.chooser))
        try:
            yield Tab(page, browser, product, url)
        finally:
            giving_up.cancel()
            browser.close()
