"""The file being sent: read in any order, recognised again, never mixed up."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from wherry.client.errors import FileChanged
from wherry.client.source import SAMPLE_SIZE, Source
from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.core.ranges import Range


def fingerprint(file: Path, filename: str | None = None) -> str:
    source = Source(file, filename)
    try:
        return source.fingerprint()
    finally:
        source.close()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(3 * MiB))
    os.utime(path, ns=(1_000, 1_000))
    return path


def rewrite(path: Path, at: int) -> None:
    """Change one byte and nothing else, not even the time of change."""
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))
    os.utime(path, ns=(1_000, 1_000))


def test_the_same_file_has_the_same_fingerprint(film: Path) -> None:
    assert fingerprint(film) == fingerprint(film)


def test_a_fingerprint_changes_with_name_size_and_time(film: Path) -> None:
    first = fingerprint(film)
    assert fingerprint(film, "other.mp4") != first
    os.utime(film, ns=(1_000, 1_001))
    assert fingerprint(film) != first
    with film.open("ab") as file:
        file.write(b"x")
    os.utime(film, ns=(1_000, 1_000))
    assert fingerprint(film) != first


@pytest.mark.parametrize("at", [0, SAMPLE_SIZE - 1, 3 * MiB - 1, 3 * MiB - SAMPLE_SIZE])
def test_a_fingerprint_changes_with_the_first_and_the_last_bytes(film: Path, at: int) -> None:
    first = fingerprint(film)
    rewrite(film, at)
    assert fingerprint(film) != first


def test_a_fingerprint_samples_the_middle(film: Path) -> None:
    first = fingerprint(film)
    changed = 0
    for at in range(0, 3 * MiB, SAMPLE_SIZE):
        rewrite(film, at)
        changed += fingerprint(film) != first
        rewrite(film, at)
    assert changed >= 8


@pytest.mark.parametrize("size", [0, 1, SAMPLE_SIZE, SAMPLE_SIZE + 1, 20 * SAMPLE_SIZE + 3])
def test_any_size_has_a_fingerprint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(size))
    assert len(fingerprint(path)) < 100


def test_a_range_comes_with_its_digest(film: Path) -> None:
    data, part = (source := Source(film, None)).take(Range(100, 2 * MiB))
    source.close()
    assert data == film.read_bytes()[100 : 2 * MiB]
    assert (part.start, part.end, part.crc) == (100, 2 * MiB, crc64(data))


def test_a_change_of_the_file_is_noticed(film: Path) -> None:
    source = Source(film, None)
    source.check_unchanged()
    os.utime(film, ns=(5, 5))
    with pytest.raises(FileChanged):
        source.check_unchanged()
    source.close()


def test_a_file_that_was_cut_is_noticed_while_reading(film: Path) -> None:
    source = Source(film, None)
    os.truncate(film, MiB)
    with pytest.raises(FileChanged):
        source.take(Range(MiB - 5, MiB + 5))
    source.close()


def test_a_file_object_is_sent_whole_and_stays_open(film: Path) -> None:
    with film.open("rb") as file:
        file.seek(77)
        source = Source(file, None)
        assert (source.size, source.name) == (3 * MiB, "film.mp4")
        source.close()
        assert not file.closed


def test_bytes_in_memory_need_no_file() -> None:
    source = Source(io.BytesIO(b"abc"), "a.txt")
    assert (source.size, source.name, source.content_type) == (3, "a.txt", "text/plain")
    assert source.take(Range(1, 3))[0] == b"bc"
    source.check_unchanged()


def test_a_compressed_file_object_has_the_size_of_what_it_gives(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a" * 10_000))
    with gzip.open(path) as file:
        assert Source(file, "a").size == 10_000  # type: ignore[arg-type]


def test_text_and_pipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Source(io.StringIO("text"), None)  # type: ignore[arg-type]
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ValueError, match="seek"):
        Source(pipe, None)
