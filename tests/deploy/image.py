"""Builds the image and runs it, where there is neither a docker engine nor a registry of images.

    python -m tests.deploy.image

podman builds deploy/docker/Dockerfile as it is. Its base is a Debian that debootstrap makes here.
What the image is to run, as whom, and how it is asked for its health is read from the built image.
It runs in a root of its own: its file system read-only, its user without capabilities, its network
alone with itself. A container engine would also limit its resources, which is not tried here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wherry.testing.video import make_video

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "deploy"
SUITE = "trixie"
BASE, IMAGE = "localhost/wherry-base", "localhost/wherry"
#: What may be written: as in deploy/helm/wherry/templates/_pod.tpl and in compose.yaml.
DATA, SCRATCH = "/var/lib/wherry", "/tmp"
#: How long the server may take to start, a container engine waits before it kills (docker's
#: default), and a file may take to be assessed: in seconds.
START_TIMEOUT, KILLED_AFTER, ASSESSED_WITHIN = 120.0, 10.0, 300.0
#: None of these may be in the image: what builds, and what installs.
TOOLS = ("cc", "gcc", "g++", "ld", "make", "git", "pip", "pip3", "uv", "hatchling", "pytest")
EXTRAS = ("fastapi", "av", "dbos", "botocore", "psycopg", "awscrt")

#: Run as root in new namespaces; then waits, so that others can enter them.
_ROOM = """
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$2" "$root/var/lib/wherry"
mount --bind "$3" "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
ip link set lo up
echo ready
exec sleep infinity
"""


def podman(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = ["podman", "--root", str(CACHE / "storage"), "--runroot", str(CACHE / "run")]
    command += ["--cgroup-manager", "cgroupfs", *arguments]
    return subprocess.run(command, check=True, text=True, **options)


def base() -> Path:
    """The archive of a minimal Debian; made once."""
    archive = CACHE / f"debian-{SUITE}.tar"
    if archive.exists():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        root = Path(name) / "root"
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE]
        subprocess.run([*command, str(root), *mirror()], check=True, stdout=subprocess.DEVNULL)
        take_along(root)
        made = Path(name) / "base.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(made), "."], check=True)
        made.rename(archive)
    return archive


def mirror() -> list[str]:
    """The mirror that this machine uses, if it says so; otherwise, debootstrap has its own."""
    with suppress(FileNotFoundError):
        for line in Path("/etc/apt/sources.list.d/debian.sources").read_text().splitlines():
            if line.startswith("URIs:"):
                return [line.split()[1]]
    return []


def take_along(root: Path) -> None:
    """Give the base the certificates that this machine trusts, and its configuration of pip."""
    trusted = "etc/ssl/certs/ca-certificates.crt"
    shutil.copy(f"/{trusted}", root / trusted)
    configuration = RawConfigParser()
    configuration.read("/etc/pip.conf")
    configuration.read_dict({"global": {"cert": f"/{trusted}"}})
    with (root / "etc/pip.conf").open("w") as file:
        configuration.write(file)


def build() -> dict[str, Any]:
    """Build the image. Returns what it says of itself."""
    known = podman("images", "--quiet", BASE, stdout=subprocess.PIPE).stdout
    if not known:
        with base().open("rb") as archive:
            podman("import", "-", BASE, stdin=archive, stdout=subprocess.DEVNULL)
    # `chroot`: without namespaces of its own, which a machine may refuse. `docker`: the format
    # that has a health check.
    options = ("--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}")
    podman("build", *options, "--file", "deploy/docker/Dockerfile", "--tag", IMAGE, ".", cwd=ROOT)
    [found] = json.loads(podman("image", "inspect", IMAGE, stdout=subprocess.PIPE).stdout)
    image: dict[str, Any] = found
    return image


class Room:
    """Where the image runs. Each command is run as the image's user, with its environment."""

    def __init__(self, root: Path, image: dict[str, Any], holder: int) -> None:
        config = image["Config"]
        user, _, group = config["User"].partition(":")
        self.prefix = ["nsenter", "--target", str(holder), "--mount", "--net", "--"]
        self.prefix += ["chroot", str(root), "/usr/bin/setpriv", "--reuid", user, "--regid", group]
        self.prefix += ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        self.prefix += ["--no-new-privs", "/usr/bin/env", "--ignore-environment"]
        self.prefix += [f"--chdir={config['WorkingDir']}", *config["Env"]]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *command], check=False, text=True, capture_output=True, timeout=600
        )

    def output(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()


@contextmanager
def room(image: dict[str, Any], data: Path, scratch: Path) -> Iterator[Room]:
    root = Path(podman("image", "mount", IMAGE, stdout=subprocess.PIPE).stdout.strip())
    command = ["unshare", "--mount", "--net", "sh", "-c", _ROOM, "room"]
    holder = subprocess.Popen(
        [*command, str(root), str(data), str(scratch)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the root of the image could not be prepared"
        yield Room(root, image, holder.pid)
    finally:
        holder.kill()
        holder.wait()
        podman("image", "unmount", IMAGE, stdout=subprocess.DEVNULL)


@contextmanager
def serving(inside: Room, image: dict[str, Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The image's own entry point and command."""
    config = image["Config"]
    with log.open("wb") as out:
        command = [*inside.prefix, *config["Entrypoint"], *config["Cmd"]]
        server = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield server
    finally:
        server.kill()
        server.wait()


def wait_until(is_so: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not is_so():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def check(inside: Room, image: dict[str, Any], folder: Path) -> None:
    """Every claim about the image. Raises `AssertionError` with what was found instead."""
    assert inside.output("id", "-u") != "0"
    assert inside.run("touch", "/opt/wherry/x", "/x").returncode != 0, "its root can be written"
    inside.output("touch", f"{DATA}/x", f"{SCRATCH}/x")
    claim("runs as a user without privileges; writes only to its two volumes")

    found = [tool for tool in TOOLS if inside.run("sh", "-c", f"command -v {tool}").stdout]
    assert not found, found
    inside.output("python", "-c", f"import {', '.join(EXTRAS)}")
    claim(f"has {', '.join(EXTRAS)}; has neither pip nor a compiler")

    health = image["Healthcheck"]["Test"]
    assert health[0] == "CMD", health

    def is_healthy() -> bool:
        return inside.run(*health[1:]).returncode == 0

    assert not is_healthy(), "healthy without a server"
    refused = inside.run(*image["Config"]["Entrypoint"], *image["Config"]["Cmd"])
    assert "there are no API keys" in refused.stderr, refused.stderr
    key = inside.output("wherry", "keys", "add", "alice").splitlines()[0]

    log = folder / "server.log"
    with serving(inside, image, log) as server:
        wait_until(is_healthy, server, log)
        claim("its health check fails without a server, and passes with one")
        upload = ["wherry", "upload", f"{SCRATCH}/film.mp4", "http://127.0.0.1:8000/api", "--wait"]
        report = inside.output("/usr/bin/env", f"WHERRY_API_KEY={key}", *upload)
        assert "verdict" in report, report
        claim("received and assessed a video")
        server.terminate()
        began = time.monotonic()
        assert server.wait(KILLED_AFTER) == 0, log.read_text()
        claim(f"ended {time.monotonic() - began:.1f} seconds after SIGTERM, with exit code 0")

    worker = subprocess.Popen([*inside.prefix, *image["Config"]["Entrypoint"], "worker"])
    try:
        time.sleep(3)
        assert worker.poll() is None, "the worker ended by itself"
        worker.terminate()
        worker.wait(KILLED_AFTER)
        claim("a worker ends after SIGTERM, too")
    finally:
        worker.kill()
        worker.wait()


def claim(text: str) -> None:
    print(f"image: {text}", flush=True)


def main() -> int:
    needed = ("podman", "debootstrap", "nsenter", "unshare", "ip")
    missing = [program for program in needed if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        print(f"root is needed, and these programs are missing: {missing}", file=sys.stderr)
        return 1
    image = build()
    claim(f"built, {image['Size'] / 1e6:.0f} MB")
    owner, _, group = image["Config"]["User"].partition(":")
    with tempfile.TemporaryDirectory(prefix="wherry-image-") as name:
        folder = Path(name)
        data, scratch = folder / "data", folder / "scratch"
        for volume in (data, scratch):
            volume.mkdir()
        make_video(scratch / "film.mp4", seconds=2)
        for path in (data, scratch, scratch / "film.mp4"):
            os.chown(path, int(owner), int(group))
        with room(image, data, scratch) as inside:
            check(inside, image, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
