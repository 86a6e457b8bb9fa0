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

#: What it may send, and how long it may take, in seconds.
BYTES, SECONDS = 32 * MiB, 30.0
#: After how many seconds a timer of the laboratory ends a request, and how much later that may be
#: noticed.
TIMER, LATER = 5.0, 3.0
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
        said = _run(laboratory.way(relay), setup)
        seconds = time.perf_counter() - begun
        size = relay.counts().received
    if isinstance(said, str):
        return Examined(proxy.key, setup.name, said, "", seconds, size)
    problems = [
        *compare(setup, setup.who or proxy.who, said),
        f"it took {seconds:.0f} s" if seconds > SECONDS else "",
        f"it sent {size / MiB:.0f} MiB" if size > BYTES else "",
    ]
    who = said["front"]["proxy"] or ""
    return Examined(proxy.key, setup.name, "; ".join(filter(None, problems)), who, seconds, size)


def compare(setup: Setup, who: str, said: dict[str, Any]) -> list[str]:
    """What is wrong with what the doctor said of a proxy that it should call `who`; empty: it does
    not know it."""
    expected = who if setup.is_marked else ""
    found = [
        _compare_limit(setup, said["limit"]),
        _compare_verdict(setup, said["verdict"]),
        _compare_who(expected, who, said["front"]["proxy"] or ""),
        _compare_timers(setup, said["timers"]),
        _compare_remedies(setup, expected, [each["proxy"] for each in said["remedies"]]),
        _compare_cors(setup, said["cors"], said["limit"]["refusal"]),
    ]
    return [problem for problem in found if problem]


def _run(way: Way, setup: Setup) -> dict[str, Any] | str:
    """Its JSON, or what it says instead."""
    environment = dict(os.environ)
    if way.certificate is not None:
        environment["SSL_CERT_FILE"] = str(way.certificate)
    command = [sys.executable, "-m", "wherry", "doctor", way.api, "--json"]
    if setup.is_cross_origin:
        command += ["--origin", way.page]
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
    if setup.timer:
        return "" if verdict == "trouble" else f"verdict {verdict}"
    is_narrow = setup.limit is not None and setup.limit < LARGEST_CHUNK
    return "" if is_narrow == (verdict == "narrow") else f"verdict {verdict}"


def _compare_who(expected: str, who: str, said: str) -> str:
    if said == expected or (not expected and said == who):
        return ""
    return f"it takes it for {said}" if said else "it does not recognise it"


def _compare_timers(setup: Setup, timers: dict[str, Any]) -> str:
    seconds = timers[setup.timer] if setup.timer else TIMER
    if seconds is None:
        return f"it finds no {setup.timer} timer"
    return "" if TIMER - 1 <= seconds <= TIMER + LATER else f"it finds a timer of {seconds} s"


def _compare_remedies(setup: Setup, expected: str, shown: list[str]) -> str:
    is_narrow = setup.limit is not None and setup.limit < LARGEST_CHUNK
    if not is_narrow and not setup.timer:
        return ""
    return "" if (expected or "unknown") in shown else f"what it tells to change is {shown}"


def _compare_cors(setup: Setup, cors: dict[str, Any], refusal: dict[str, Any] | None) -> str:
    """No configuration adds CORS headers to what the proxy answers itself."""
    if setup.is_cross_origin and cors["on_answer"] is not True:
        return "it does not see that the server's answers have CORS headers"
    is_told_by_its_status = refusal is not None and refusal["status"] == 413
    if is_told_by_its_status and cors["on_refusal"] is not False:
        return "it does not see that the refusal has no CORS headers"
    return ""
