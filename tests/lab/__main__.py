"""Sends files through every proxy with every client, and makes the table of the documentation.

    .venv/bin/python -m tests.lab [--proxies nginx,caddy] [--clients python] [--setups TEXT]
                                  [--publish]

Rule 1: results are kept in the cache and added to. `--publish` writes all of them into the page.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.peers import NotInstalled
from bench.processes import NotStarted
from tests.lab.clients import Client
from tests.lab.clients.browser import Chromium
from tests.lab.clients.curl import Curl
from tests.lab.clients.python import Python
from tests.lab.measuring import Cell, measure
from tests.lab.proxies import Proxy, Setup
from tests.lab.proxies.registry import find_proxies
from tests.lab.results import Results, read_results
from tests.lab.table import DIRECT, baseline_of, publish, render

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "lab"
RESULTS = CACHE / "results.json"
CLIENTS: tuple[Client, ...] = (Python(), Chromium(), Curl())


def main() -> None:
    options = _parse()
    if options.only_install:
        for key in _pick(options.only_install, list(find_proxies())):
            _install(find_proxies()[key])
        return
    results = read_results(RESULTS)
    proxies = find_proxies()
    wanted = _pick(options.proxies, list(proxies))
    with ExitStack() as stack:
        files = Path(stack.enter_context(TemporaryDirectory(prefix="wherry-lab-files-")))
        clients = []
        for client in CLIENTS:
            if client.key in _pick(options.clients, [each.key for each in CLIENTS]):
                stack.enter_context(client.start())
                clients.append(client)
        for key in wanted:
            _measure_proxy(results, proxies[key], options.setups, clients, files)
    text = render(results, list(proxies.values()), CLIENTS)
    if options.publish:
        publish(text)
    print(text)


def _install(proxy: Proxy) -> None:
    try:
        print(f"{proxy.title} {proxy.install(CACHE)}")
    except NotInstalled as error:
        print(f"{proxy.title} could not be installed: {error}; tests that need it are skipped")


def _measure_proxy(
    results: Results, proxy: Proxy, setups: str | None, clients: list[Client], files: Path
) -> None:
    results.left_out.pop(proxy.key, None)
    try:
        results.versions[proxy.key] = proxy.install(CACHE)
    except NotInstalled as error:
        results.left_out[proxy.key] = str(error)
        print(f"{proxy.key}: left out: {error}")
        return
    for setup in proxy.setups:
        if setups is None or setups in setup.name:
            _measure_baseline(results, setup, clients, files)
            _measure_setup(results, proxy, setup, clients, files)


def _measure_baseline(results: Results, setup: Setup, clients: list[Client], files: Path) -> None:
    """The same files without a proxy, unless that was measured."""
    plain = Setup(baseline_of(setup), rate=setup.rate, size=setup.size)
    missing = [each for each in clients if not results.find(DIRECT, plain.name, each.key)]
    if missing:
        _measure_setup(results, None, plain, missing, files)


def _measure_setup(
    results: Results, proxy: Proxy | None, setup: Setup, clients: list[Client], files: Path
) -> None:
    title = proxy.key if proxy else DIRECT
    begun = time.monotonic()
    try:
        for cell in measure(proxy, setup, clients, files, CACHE):
            results.put(cell)
            results.write(RESULTS)
            print(f"{title}, {setup.name}, {_render_short(cell)}", flush=True)
    except NotStarted as error:
        print(f"{title}, {setup.name}: {error}", flush=True)
    print(f"  {time.monotonic() - begun:.0f} s", flush=True)


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
    parser.add_argument("--publish", action="store_true", help="write the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
