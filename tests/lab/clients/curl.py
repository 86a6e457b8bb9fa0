"""curl, as docs/howto/upload-with-curl.md says: in chunks, with the commands of that page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.installing import need_program
from tests.docs.pages import blocks
from tests.lab.clients import TIMEOUT, Client, Uploaded, Uploads, Way

PAGE = "howto/upload-with-curl.md"
#: How the blocks begin that send a file in chunks.
IN_CHUNKS = ("SIZE=", "N=")
COMPLETE = "/chunked-upload/complete"


class Curl(Client):
    key = "curl"
    title = "curl"

    @contextmanager
    def start(self) -> Iterator[None]:
        for program in ("bash", "curl", "dd", "openssl", "base64"):
            need_program(program, program)
        yield

    def upload(self, way: Way, files: Sequence[Path], folder: Path) -> Uploads:
        programs = Path(sys.executable).parent
        environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
        if way.certificate is not None:
            environment["CURL_CA_BUNDLE"] = str(way.certificate)
        for file in files:
            script = f"API={way.api}\nFILE={file}\nAUTH=()\n{''.join(commands())}"
            begun = time.perf_counter()
            try:
                done = subprocess.run(
                    ["bash", "-uo", "pipefail", "-c", script],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT,
                    check=False,
                )
                said = done.stdout + done.stderr
            except subprocess.TimeoutExpired:
                said = f"took longer than {TIMEOUT:.0f} s"
            seconds = time.perf_counter() - begun
            yield Uploaded(seconds, *_ended(said))


def commands() -> list[str]:
    """What the page tells to type for a large file."""
    found = [
        block
        for block in blocks(PAGE, "sh")
        if block.startswith(IN_CHUNKS) or (COMPLETE in block and block.startswith("curl"))
    ]
    assert len(found) == 3, "the page on curl has changed"
    return found


def _ended(said: str) -> tuple[str, str]:
    """The upload's id, or else what went wrong."""
    at = said.rfind('{"upload_id"')
    if at >= 0:
        answer, _ = json.JSONDecoder().raw_decode(said[at:])
        if answer.get("state") == "complete":
            return str(answer["upload_id"]), ""
    if stopped := re.search(r"stopped at byte \d+, answer: (\w+)", said):
        return "", f"a chunk of 64 KiB is answered {stopped[1]}"
    return "", " ".join(said.split())[-200:]
