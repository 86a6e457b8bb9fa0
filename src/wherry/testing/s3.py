"""A real S3 server for tests: versitygw, which keeps objects as files in a folder.

    with serving_s3(program, folder) as s3:
        client = s3.client()

Rule 1: the server ends with the context, by the id of its process.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from wherry.testing.ports import free_port

#: How long the server may take to start, in seconds; how many ports are tried.
START_TIMEOUT, PORTS = 60.0, 5
BUCKET = "wherry-test"


@dataclass(frozen=True, slots=True)
class S3Server:
    """`folder` has the buckets, as folders, and `environment` what clients need."""

    endpoint: str
    folder: Path
    key: str = "wherry-test-key"
    secret: str = "wherry-test-secret"  # noqa: S105 - of a server that ends with its test

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            # Nothing of the machine that runs the tests.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str = BUCKET) -> str:
        """Returns the name."""
        (self.folder / name).mkdir(exist_ok=True)
        return name


@contextmanager
def serving_s3(program: str, folder: Path, address: str = "127.0.0.1") -> Iterator[S3Server]:
    """Run versitygw on a free port of `address`. Raises `RuntimeError` if it does not start."""
    objects = folder / "objects"
    objects.mkdir(parents=True)
    for attempt in range(PORTS):
        port = free_port()
        server = S3Server(f"http://{address}:{port}", objects)
        environment: dict[str, Any] = {
            **os.environ,
            "ROOT_ACCESS_KEY": server.key,
            "ROOT_SECRET_KEY": server.secret,
        }
        command = [program, "--port", f"{address}:{port}", "--quiet", "--keep-alive"]
        with (folder / f"versitygw-{attempt}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "posix", str(objects)], env=environment, stdout=log, stderr=log
            )
        try:
            if _is_up(process, server.endpoint):
                server.make_bucket()
                yield server
                return
        finally:
            process.kill()
            process.wait()
    raise RuntimeError(f"versitygw did not start; its logs are in {folder}")


def _is_up(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    """Wait until it answers; False if it ends before."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(endpoint)
        except httpx2.TransportError:
            time.sleep(0.02)
        else:
            return True
    return False
