"""`python -m bench`: compares Wherry with other upload servers on this machine."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.native import NoCompiler
from bench.peers import NotInstalled
from bench.peers.registry import find_peers
from bench.publish import NotPublished, publish
from bench.results import BASE, Results
from bench.run import NoSpace, Plan, Run
from bench.tables import render_all
from bench.workloads import QUICK, WORKLOADS

ROOT = Path(__file__).parent.parent


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compares Wherry with other upload servers on this machine.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only workloads a and c, only against tusd and the C server",
    )
    parser.add_argument(
        "--workloads",
        metavar="KEYS",
        help=f"which, separated by commas: {', '.join(w.key for w in WORKLOADS)}",
    )
    parser.add_argument(
        "--servers",
        metavar="KEYS",
        help="which, separated by commas; `wherry` is all its configurations, "
        "`wherry/power-loss` those with this durability",
    )
    parser.add_argument(
        "--other-wherry",
        metavar="NAME=PYTHON",
        action="append",
        default=[],
        help="also measure the Wherry that this Python program has, for example "
        "before=../main/.venv/bin/python",
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured")
    parser.add_argument(
        "--volume", type=float, default=1.0, help="0.1: a tenth of the bytes, files and clients"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench", help="for installed servers")
    parser.add_argument("--disk", type=Path, help="a folder on the disk; by default in the cache")
    parser.add_argument(
        "--memory",
        type=Path,
        default=Path("/dev/shm"),  # noqa: S108 - folders of our own are made in it
        help="a folder on a tmpfs",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the results here; by default to last.json in the cache",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the results of all workloads into bench/results, the documentation and README",
    )
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="source", help="measure nothing; read results"
    )
    return parser.parse_args(arguments)


def make_plan(given: argparse.Namespace, others: list[str]) -> Plan:
    """Raises `ValueError` for a workload that is not known."""
    offered = {workload.key: workload for workload in (QUICK if given.quick else WORKLOADS)}
    keys = given.workloads.split(",") if given.workloads else list(offered)
    if unknown := set(keys) - set(offered):
        raise ValueError(f"no such workload: {', '.join(sorted(unknown))}")
    return Plan(
        workloads=[offered[key] for key in keys],
        servers=given.servers.split(",") if given.servers else [],
        others=others,
        rounds=given.rounds,
        volume=given.volume,
        cache=given.cache.absolute(),
        disk=(given.disk or given.cache).absolute(),
        memory=given.memory.absolute(),
    )


def main(arguments: list[str]) -> int:
    given = parse_arguments(arguments)
    try:
        wrong: list[str] = []
        if given.source:
            results = Results.read(given.source)
        else:
            results, wrong = measure(given)
            results.write(given.json or given.cache / "last.json")
        print(f"\n{render_all(results)}")
        if given.publish and not wrong:
            publish(results)
    except NotPublished as reason:
        print(f"\n{reason}")
    except NotInstalled as reason:
        print(
            f"there is nothing to compare with, because {BASE} cannot be installed: {reason}",
            file=sys.stderr,
        )
        return 2
    except (OSError, ValueError, NoCompiler, NoSpace) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; every server was stopped and every folder removed", file=sys.stderr)
        return 130
    for sentence in wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)
    if wrong and given.publish:
        print("nothing was published", file=sys.stderr)
    return 1 if wrong else 0


def measure(given: argparse.Namespace) -> tuple[Results, list[str]]:
    """The results, and what makes the run fail.

    Raises `ValueError`, `NoCompiler`, `NoSpace`, and `NotInstalled` if a quick run lacks tusd.
    """
    others = dict(item.split("=", 1) for item in given.other_wherry)
    signal.signal(signal.SIGTERM, _interrupt)
    # 1,000 clients need as many sockets; what is started inherits this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan, peers = make_plan(given, list(others)), find_peers(others)
    if given.quick and (not plan.servers or BASE in plan.servers):
        peers[BASE].install(plan.cache)
    run = Run(plan, peers)
    return run.measure(), run.wrong


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
