"""The Python client, in a process of its own.

python -m tests.lab.clients.python API FILE...   sends a file for each line of its input
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.clients import TIMEOUT, Client, Uploaded, Uploads, Way

from wherry.client import Client as WherryClient
from wherry.client.errors import ClientError

ROOT = Path(__file__).parents[3]
#: Seconds without progress after which it gives up.
PATIENCE = 30.0


class Python(Client):
    key = "python"
    title = "Python"

    @contextmanager
    def start(self) -> Iterator[None]:
        yield

    def upload(self, way: Way, files: Sequence[Path], folder: Path) -> Uploads:
        command = [sys.executable, "-m", "tests.lab.clients.python", way.api, *map(str, files)]
        environment = dict(os.environ)
        if way.certificate is not None:
            environment["SSL_CERT_FILE"] = str(way.certificate)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for _ in files:
                process.stdin.write("\n")
                process.stdin.flush()
                yield Uploaded(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.stdout.close()
            try:
                process.wait(TIMEOUT)
            finally:
                process.kill()
                process.wait()


def main(api: str, files: Sequence[str]) -> None:
    with WherryClient(api, patience=PATIENCE) as client:
        for file in files:
            if not sys.stdin.readline():
                return
            begun = time.perf_counter()
            upload_id, problem = "", ""
            try:
                upload_id = client.upload(Path(file)).upload_id
            except ClientError as error:
                problem = str(error)
            seconds = time.perf_counter() - begun
            found = {"seconds": seconds, "upload_id": upload_id, "problem": problem}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
