"""Runs the tests of S3 storage on Garage: `make try-garage`.

    python -m tests.storage.try_garage GARAGE [TESTS...]

GARAGE: the program. It runs on free ports of this machine, with all its files in a temporary
folder, and ends with this script.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wherry.testing.ports import free_port
from wherry.testing.s3 import BUCKET

START_TIMEOUT = 60.0
CONFIGURATION = """
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{s3}"
root_domain = ".s3.garage.test"
"""
TESTS = ["tests/storage/test_contract.py", "-k", "object_store"]


def main() -> int:
    program, tests = sys.argv[1], sys.argv[2:] or TESTS
    with tempfile.TemporaryDirectory() as folder:
        port, settings = free_port(), Path(folder, "garage.toml")
        settings.write_text(
            CONFIGURATION.format(
                folder=folder, rpc=free_port(), s3=port, secret=secrets.token_hex(32)
            )
        )
        settings.chmod(0o600)

        def garage(*words: str, check: bool = True) -> str:
            command = [program, "-c", str(settings), *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if check and done.returncode:
                raise RuntimeError(f"garage {' '.join(words)}: {done.stderr}")
            return done.stdout if not done.returncode else ""

        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(
                [program, "-c", str(settings), "server"], stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not (node := garage("node", "id", "-q", check=False)) or not garage(
                "status", check=False
            ):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(Path(folder, "log").read_text())
                time.sleep(0.2)
            garage("layout", "assign", "-z", "here", "-c", "10G", node.partition("@")[0])
            garage("layout", "apply", "--version", "1")
            key, secret = f"GK{secrets.token_hex(12)}", secrets.token_hex(32)
            garage("key", "import", "--yes", key, secret)
            garage("bucket", "create", BUCKET)
            garage("bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", key)
            sys.stdout.write(garage("--version"))
            tested = {
                "WHERRY_TESTED_S3": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
            }
            command = [sys.executable, "-m", "pytest", *tests]
            return subprocess.run(command, env={**os.environ, **tested}, check=False).returncode
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
