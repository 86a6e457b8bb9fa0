"""What the pages tell a reader to type is typed here, against a real server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import blocks
from tests.docs.shell import EXAMPLE, type_all

from wherry.testing.server import Server, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "wherry-data") as server:
        yield server


def make_files(folder: Path) -> None:
    (folder / "talk.mp4").write_bytes(os.urandom(6_000_000))
    (folder / "notes.mp4").write_bytes(os.urandom(100_000))
    (folder / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / "photos" / name).write_bytes(os.urandom(100_000))


@pytest.mark.slow
def test_the_first_five_minutes(server: Server, tmp_path: Path) -> None:
    said = type_all("tutorial/first-five-minutes.md", server, tmp_path)
    report = blocks("tutorial/first-five-minutes.md", "text")[0].splitlines()
    findings = [line for line in report if line.startswith(("verdict ", "  ! "))]
    assert len(findings) == 4
    assert not [line for line in findings if line not in said.splitlines()]
    assert '"offset":0,"missing":[[0,5242880],[10485760,' in said
    assert '"code":"bytes-missing"' in said
    assert '"state":"complete"' in said
    assert "the same\n" in said


def test_uploading_with_curl(server: Server, tmp_path: Path) -> None:
    make_files(tmp_path)
    said = type_all("howto/upload-with-curl.md", server, tmp_path)
    # Four in one request each, one in chunks, its status and its refusal.
    assert said.count('"state":"complete"') == 7
    assert '"received_bytes":6000000,"size":6000000,"offset":6000000,"missing":[]' in said
    assert said.count("problem+json") + said.count('"code":') == 1
    assert '"code":"upload-closed"' in said


def test_guests_upload_with_curl(tmp_path: Path) -> None:
    make_files(tmp_path)
    with serving(tmp_path / "wherry-data", guests="true") as server:
        said = type_all("howto/guest-links.md", server, tmp_path)
        talk = (tmp_path / "talk.mp4").read_bytes()
        stored = [file.read_bytes() for file in (server.data / "files").iterdir()]
    assert stored == [talk] * 3
    assert '"note":"by the API"' in said
    assert "used-up" in said
    assert said.endswith("revoked 2\n")
    # The server's log has no ticket.
    assert "wherry_guest_" not in server.log.read_text()


def test_sharing_a_report_with_curl(tmp_path: Path) -> None:
    make_files(tmp_path)
    data = tmp_path / "wherry-data"
    with serving(data, shared_reports="true", run_worker="false") as server:
        said = type_all("howto/share-a-report.md", server, tmp_path)
        assert '"state":"queued"' in said
        assert "wherry_guest_" not in server.log.read_text()


def test_receipts(tmp_path: Path) -> None:
    make_files(tmp_path)
    key = tmp_path / "receipts.pem"
    [made, *_] = blocks("howto/receipts.md", "sh")
    subprocess.run(["bash", "-euc", made], cwd=tmp_path, check=True, capture_output=True)
    with serving(tmp_path / "wherry-data", receipt_key=key) as server:
        said = type_all("howto/receipts.md", server, tmp_path, skipped=[made])
    digest = hashlib.sha256((tmp_path / "talk.mp4").read_bytes()).hexdigest()
    assert f"sha256        {digest}\n" in said
    assert json.loads(said.splitlines()[-1])["sha256"] == digest
    # With what OpenSSL says of it, too: no code of ours.
    signed, _, signature = (tmp_path / "talk.receipt").read_text().strip().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    (tmp_path / "signature").write_bytes(der(raw[:32], raw[32:]))
    (tmp_path / "signed").write_text(signed)
    command = "openssl dgst -sha256 -verify receipts.pub.pem -signature signature signed"
    done = subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "Verified OK\n"


def der(*numbers: bytes) -> bytes:
    """The sequence of these numbers, as OpenSSL reads a signature."""
    found = b""
    for number in numbers:
        plain = number.lstrip(b"\0")
        plain = b"\0" + plain if plain[0] & 0x80 else plain
        found += b"\x02" + bytes([len(plain)]) + plain
    return b"\x30" + bytes([len(found)]) + found


def test_uploading_from_the_command_line(server: Server, tmp_path: Path) -> None:
    make_files(tmp_path)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "first.mp4").write_bytes(b"a film")
    servers = tmp_path / ".config" / "wherry" / "servers.toml"
    servers.parent.mkdir(parents=True)
    servers.write_text(f'[films]\nurl = "{server.url}/api"\n')
    said = type_all("howto/upload-from-the-command-line.md", server, tmp_path)
    assert said.endswith("\nfail\n")


def test_keeping_and_deleting_files(server: Server, tmp_path: Path) -> None:
    make_files(tmp_path)
    assert "204 No Content" in type_all("howto/keep-and-delete-files.md", server, tmp_path)
    assert (tmp_path / "back.mp4").read_bytes() == (tmp_path / "talk.mp4").read_bytes()
    assert (tmp_path / "beginning.bin").stat().st_size == 1024


def test_limits_and_disk_space(server: Server, tmp_path: Path) -> None:
    said = type_all("howto/limits-and-disk-space.md", server, tmp_path)
    assert "open uploads  0" in said
    assert "would free 0 B" in said
    assert "\nfreed 0 B" in said


def test_keys(server: Server, tmp_path: Path) -> None:
    said = type_all("howto/run-the-server.md", server, tmp_path)
    assert "\nops (operator) " in said
    assert said.endswith("removed 1\n")


def test_uploading_from_python(server: Server, tmp_path: Path) -> None:
    make_files(tmp_path)
    programs = blocks("howto/upload-from-python.md", "python")
    said = []
    for program in programs:
        command = [sys.executable, "-c", program.replace(EXAMPLE, server.url)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert len(said) == 6
    assert "done: 6000000 of 6000000 bytes are safe" in said[1]
    assert len(said[2].splitlines()) == 2
    assert said[3].startswith("fail\nFILE-UNREADABLE")
    assert said[4] == "", "there is no early verdict on a small file"
