"""What `wherry serve` does not hold in memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

#: Needed by other commands, by the worker, or by nobody.
NOT_NEEDED = ["av", "dbos", "httpx2", "numpy", "pygments", "rich", "wherry.client"]

ALLOCATE = """
import ctypes, threading
from wherry.server import share_heap
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=libc.malloc, args=(1000,)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_stats()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


def test_a_server_loads_nothing_that_only_other_commands_need() -> None:
    loaded = f"print([name for name in {NOT_NEEDED} if name in sys.modules])"
    assert run(f"import sys, wherry.cli, wherry.server; {loaded}").stdout == "[]\n"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="it is glibc's")
def test_all_threads_of_a_server_share_one_heap() -> None:
    def heaps(first: str) -> int:
        return run(ALLOCATE.format(first=first)).stderr.count("Arena ")

    assert heaps("") > 1
    assert heaps("share_heap()") == 1
