"""What `wherry doctor` says of each configuration, and whether that is so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from tests.lab.clients import Way
from tests.lab.measuring import Laboratory
from tests.lab.proxies import MiB, Proxy, Setup
from tests.lab.relay import Relay

#: What it may send. How long it takes is in the table.
BYTES = 32 * MiB
#: Limits above this one cost an upload nothing, and are told as such.
LARGEST_CHUNK = 64 * MiB


@dataclass(frozen=True)
class Examined:
    """`problem`: what is wrong with its verdict; empty if it is right. `who`: the proxy that it
    recognised; empty if it recognised none."""

    proxy: str
    setup: str
    problem: str
    who: str
    seconds: float
    size: int


def examine(proxy: Proxy, laboratory: Laboratory) -> Examined:
    """Run `wherry doctor`, and compare what it says with the configuration."""
    setup = laboratory.front.setup
    with Relay(laboratory.front.port, is_tls=setup.is_tls).run_in_thread() as relay:
        begun = time.perf_counter()
        said = _run(laboratory.way(relay))
        seconds = time.perf_counter() - begun
        size = relay.counts().received
    if isinstance(said, str):
        return Examined(proxy.key, setup.name, said, "", seconds, size)
    who = said["front"]["proxy"] or ""
    problems = [
        _compare_limit(setup, said["limit"]),
        _compare_verdict(setup, said["verdict"]),
        f"it takes it for {who}" if who and who != (setup.who or proxy.who) else "",
        f"it sent {size / MiB:.0f} MiB" if size > BYTES else "",
    ]
    return Examined(proxy.key, setup.name, "; ".join(filter(None, problems)), who, seconds, size)


def _run(way: Way) -> dict[str, Any] | str:
    """Its JSON, or what it says instead."""
    environment = dict(os.environ)
    if way.certificate is not None:
        environment["SSL_CERT_FILE"] = str(way.certificate)
    command = [sys.executable, "-m", "wherry", "doctor", way.api, "--json"]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return "it does not end"
    except ValueError:
        return " ".join((done.stdout + done.stderr).split())[-200:]
    return found


def _compare_limit(setup: Setup, limit: dict[str, Any]) -> str:
    passes, refuses = limit["passes"], limit["refuses"]
    if setup.limit is None:
        return "" if refuses is None else f"it finds a limit of {refuses}"
    if refuses is None or not (passes or 0) <= setup.limit < refuses:
        return f"it finds {passes} passes, {refuses} is refused"
    return "" if refuses <= 2 * setup.limit else f"it only finds that {refuses} is refused"


def _compare_verdict(setup: Setup, verdict: str) -> str:
    is_narrow = setup.limit is not None and setup.limit < LARGEST_CHUNK
    return "" if is_narrow == (verdict == "narrow") else f"verdict {verdict}"
