"""All servers that can be compared."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from bench.peers import Peer
from bench.peers.asgi import Recipe, Tuspyserver, Tussi
from bench.peers.cserver import CServer
from bench.peers.nginx import Nginx
from bench.peers.rustus import Rustus
from bench.peers.tusd import Tusd
from bench.peers.tusnode import TusNode
from bench.peers.wherry import BUILD, Wherry


def find_peers(others: Mapping[str, str]) -> dict[str, Peer]:
    """Each server by its key. `others`: Python programs of other builds of Wherry, by name."""
    peers: list[Peer] = []
    for build, python in {BUILD: sys.executable, **others}.items():
        for durability in ("power-loss", "process-crash"):
            peers.append(Wherry(python, durability, build=build))
            peers.append(Wherry(python, durability, build=build, assessment=True))
            peers.append(Wherry(python, durability, build=build, tus=True))
            peers.append(Wherry(python, durability, build=build, processes=2))
        peers.append(Wherry(python, "process-crash", build=build, router=True))
    peers += [Tusd(), Rustus(), TusNode(), Tuspyserver(), Tussi(), Nginx(), Recipe(), CServer()]
    return {peer.key: peer for peer in peers}
