"""Sends files through every proxy with every client, and makes the table of the documentation.

    .venv/bin/python -m tests.lab [--proxies nginx,caddy] [--clients python] [--setups TEXT]
                                  [--publish]

Rule 1: results are kept in the cache and added to. `--publish` writes all of them into the page.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.peers import NotInstalled
from bench.processes import NotStarted
from tests.lab.clients import Client
from tests.lab.clients.browser import Chromium
from tests.lab.clients.curl import Curl
from tests.lab.clients.python import Python
from tests.lab.doctor import Examined, examine
from tests.lab.measuring import Cell, in_front, measure
from tests.lab.proxies import Proxy, Setup
from tests.lab.proxies.registry import find_proxies
from tests.lab.results import DOCTOR, Results, read_results
from tests.lab.table import DIRECT, baseline_of, publish, render
from tests.lab.upstream import Upstream, upstream

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "lab"
RESULTS = CACHE / "results"
CLIENTS: tuple[Client, ...] = (Python(), Chromium(), Curl())
#: How many doctors work at once.
AT_ONCE = 8


def main() -> None:
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all programs are stopped
    results = read_results(RESULTS)
    known = find_proxies()
    if options.only_install:
        for key in _pick(options.only_install, list(known)):
            _install(known[key])
        return
    columns = _pick(options.clients, [*(each.key for each in CLIENTS), DOCTOR])
    proxies = [known[key] for key in _pick(options.proxies, list(known))]
    rows = [
        (proxy, setup)
        for proxy in proxies
        if _is_installed(results, proxy)
        for setup in proxy.setups
        if options.setups is None or options.setups in setup.name
    ]
    with ExitStack() as stack:
        files = Path(stack.enter_context(TemporaryDirectory(prefix="wherry-lab-files-")))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="wherry-lab-server-")))
        server = stack.enter_context(upstream(folder / "upstream"))
        clients = [client for client in CLIENTS if client.key in columns]
        for client in clients:
            stack.enter_context(client.start())
        bench = Bench(results, server, clients, files)
        for proxy, setup in rows if clients else ():
            bench.measure_baseline(proxy, setup)
            bench.measure(proxy, setup)
            for client in clients:
                results.write(RESULTS, proxy.key, client.key)
        if DOCTOR in columns:
            bench.examine_all(rows)
    text = render(results, list(known.values()), CLIENTS, not options.no_times)
    if options.publish:
        publish(text)
    print(text)


def _install(proxy: Proxy) -> None:
    try:
        print(f"{proxy.title} {proxy.install(CACHE)}")
    except NotInstalled as error:
        print(f"{proxy.title} could not be installed: {error}; tests that need it are skipped")


def _is_installed(results: Results, proxy: Proxy) -> bool:
    """Install it; if that fails, name it with the reason."""
    results.left_out.pop(proxy.key, None)
    try:
        results.versions[proxy.key] = proxy.install(CACHE)
    except NotInstalled as error:
        results.left_out[proxy.key] = str(error)
        print(f"{proxy.key}: left out: {error}")
        return False
    return True


class Bench:
    """One server for all measurements: it knows paths by the relay's port, which is always new."""

    def __init__(
        self, results: Results, server: Upstream, clients: list[Client], files: Path
    ) -> None:
        self._results = results
        self._server = server
        self._clients = clients
        self._files = files
        self._baselines: set[tuple[str, str]] = set()

    def measure_baseline(self, proxy: Proxy, setup: Setup) -> None:
        """The same files without a proxy, again for each proxy: the machine's load varies."""
        plain = Setup(baseline_of(proxy, setup), rate=setup.rate, size=setup.size)
        if (proxy.key, plain.name) not in self._baselines:
            self._baselines.add((proxy.key, plain.name))
            self.measure(None, plain)

    def measure(self, proxy: Proxy | None, setup: Setup) -> None:
        title = f"{proxy.key if proxy else DIRECT}, {setup.name}"
        begun = time.monotonic()
        with TemporaryDirectory(prefix="wherry-lab-") as name:
            try:
                with in_front(self._server, proxy, setup, Path(name), CACHE) as laboratory:
                    for client in self._clients:
                        if cell := measure(proxy, laboratory, client, self._files):
                            self._results.put(cell)
                            print(f"{title}, {_render_short(cell)}", flush=True)
            except NotStarted as error:
                print(f"{title}: {error}", flush=True)
        print(f"  {time.monotonic() - begun:.0f} s", flush=True)

    def examine_all(self, rows: list[tuple[Proxy, Setup]]) -> None:
        """Several at once, because a doctor waits for timers most of the time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for found in pool.map(self._examine, rows):
                self._results.put_examined(found)
                self._results.write(RESULTS, found.proxy, DOCTOR)
                print(f"{found.proxy}, {found.setup}: {found}", flush=True)

    def _examine(self, row: tuple[Proxy, Setup]) -> Examined:
        proxy, setup = row
        with TemporaryDirectory(prefix="wherry-lab-") as name:
            try:
                with in_front(self._server, proxy, setup, Path(name), CACHE) as laboratory:
                    return examine(proxy, laboratory)
            except NotStarted as error:
                return Examined(proxy.key, setup.name, str(error), "", 0, 0)


def _render_short(cell: Cell) -> str:
    parts = [
        f"{sent.problem or 'passes'}, {sent.requests} requests, {sent.wasted} wasted, "
        f"{sent.thrown_away} bytes thrown away, {sent.seconds:.2f} s"
        for sent in (cell.unknown, cell.known)
        if sent is not None
    ]
    return f"{cell.client}: {'; then '.join(parts)}"


def _pick(named: str | None, known: list[str]) -> list[str]:
    """Those of a list with commas; all without one. Raises `SystemExit` for others."""
    if named is None:
        return known
    found = [name.strip() for name in named.split(",")]
    if unknown := set(found) - set(known):
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return found


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab")
    for name in ("proxies", "clients"):
        parser.add_argument(f"--{name}", help="names with commas between them; all by default")
    parser.add_argument("--setups", help="only configurations with this text in their name")
    parser.add_argument("--only-install", help="install these proxies, and measure nothing")
    parser.add_argument("--no-times", action="store_true", help="leave times out of the table")
    parser.add_argument("--publish", action="store_true", help="write the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
