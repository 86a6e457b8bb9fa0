"""A network of the test's own, in which each server is a machine, as far as packets can tell.

It is made of network namespaces (network_namespaces(7)) and a bridge. Nothing of it is visible
outside, and the kernel removes it with the last process in it.

Rule 1: a machine that is cut off keeps its link. Its packets get lost, and so do those to it: no
connection ends, and none can be made.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

#: Where everything is that is not on a machine of its own.
HERE = "10.77.0.1"
_BRIDGE = "bridge"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


@dataclass(frozen=True)
class Machine:
    """`inside`: the command that runs another one there."""

    name: str
    address: str
    inside: tuple[str, ...]

    def cut(self) -> None:
        _ip("link", "set", self.name, "nomaster")

    def mend(self) -> None:
        _ip("link", "set", self.name, "master", _BRIDGE)


@contextmanager
def network(machines: int) -> Iterator[list[Machine]]:
    """Move this thread, and what it starts, into a new network, and back at the end.

    Raises `OSError` where the kernel or the rights of this process do not allow that.
    """
    if not (shutil.which("ip") and shutil.which("nsenter")):
        raise FileNotFoundError("ip (iproute2) and nsenter (util-linux) are needed")
    with ExitStack() as stack:
        before = _own_network()
        stack.callback(os.close, before)
        _call("unshare", _NEW_NETWORK)
        stack.callback(_call, "setns", before, _NEW_NETWORK)
        try:
            _ip("link", "set", "lo", "up")
            _ip("link", "add", _BRIDGE, "type", "bridge")
            _ip("address", "add", f"{HERE}/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            yield [_add_machine(number, stack) for number in range(1, machines + 1)]
        except subprocess.CalledProcessError as error:
            raise OSError(error.stderr) from error


def _add_machine(number: int, stack: ExitStack) -> Machine:
    made = list[int]()

    def make() -> None:
        _call("unshare", _NEW_NETWORK)
        made.append(_own_network())

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    stack.callback(os.close, made[0])
    place = f"/proc/{os.getpid()}/fd/{made[0]}"
    machine = Machine(f"machine-{number}", f"10.77.0.{number + 1}", ("nsenter", f"--net={place}"))
    link = ("type", "veth", "peer", "name", "eth0", "netns", place)
    _ip("link", "add", machine.name, *link)
    _ip("link", "set", machine.name, "master", _BRIDGE, "up")
    _ip("link", "set", "lo", "up", inside=machine.inside)
    _ip("address", "add", f"{machine.address}/24", "dev", "eth0", inside=machine.inside)
    _ip("link", "set", "eth0", "up", inside=machine.inside)
    return machine


def _own_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    """`unshare` or `setns`, which Python has only since 3.12."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _ip(*arguments: str, inside: tuple[str, ...] = ()) -> None:
    """Raises `CalledProcessError`."""
    command = [*inside, "ip", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)
