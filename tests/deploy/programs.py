"""The programs that check deploy/, which `make test-parts` builds, and what they make of it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # uvicorn brings it
from tests.parts import need

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "wherry"
#: The oldest version of Kubernetes that the chart accepts, and newer ones.
OLDEST, RENDERED, NEWEST = "1.27.0", "1.34.0", "1.37.0"

#: The versions are also in the Makefile.
HELM, KUSTOMIZE, COMPOSE_GO = (
    "helm-3.22.0/helm",
    "kustomize-5.7.1/kustomize",
    "compose-go-2.16.2/cmd",
)

Manifest = dict[str, Any]


def built(name: str) -> Path:
    """The path of a program. Skips the calling test where it is not there."""
    path = ROOT / ".cache" / name
    need(path.exists(), f"{name} (make test-parts)")
    return path


def run(program: str, *arguments: str | Path) -> str:
    """What it prints. Raises `CalledProcessError` if it fails."""
    done = subprocess.run([built(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr)  # noqa: T201 - pytest shows it beside the failure
    done.check_returncode()
    return done.stdout


@cache
def render(values: Path, *more: str) -> str:
    """The manifests that the chart makes of a file of values, as text."""
    return run(HELM, "template", "wherry", CHART, "--kube-version", RENDERED, "-f", values, *more)


def parse(text: str) -> Sequence[Manifest]:
    return [found for found in yaml.safe_load_all(text) if found]


def find(manifests: Sequence[Manifest], kind: str, ending: str = "") -> Manifest:
    """The only one of this kind whose name ends so."""
    [found] = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(ending)]
    return found


def container(manifest: Manifest) -> Manifest:
    """The only container of a Deployment or Job."""
    [found] = manifest["spec"]["template"]["spec"]["containers"]
    result: Manifest = found
    return result
