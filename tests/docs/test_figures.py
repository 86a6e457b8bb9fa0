"""What "How far it goes" calculates follows from what it measured."""

from __future__ import annotations

import math
import re

import pytest
from tests.docs.pages import DOCS

TEXT = (DOCS / "explanation" / "scale.md").read_text(encoding="utf-8")
#: The same without line breaks and indents.
FLAT = re.sub(r"\s+", " ", TEXT)
KiB, MiB, GiB, TB = 1 << 10, 1 << 20, 1 << 30, 10**12
WANTED = 100_000 / 60
#: What Amazon documents: writes a second of a partition; dollars for one request of the first kind.
WRITES, PRICE = 3_500, 0.005 / 1000
PART = 5 * MiB


def cells(name: str) -> list[str]:
    """The cells of the row with this first cell."""
    [line] = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", TEXT, re.M)
    return [cell.strip() for cell in str(line).split("|")]


def number(text: str) -> float:
    """The first number in it."""
    found = re.search(r"\d[\d,]*\.?\d*", text)
    assert found, text
    return float(found[0].replace(",", ""))


def rounded(value: float, digits: int) -> str:
    """With so many digits that count: 95,820 with three is 95,800."""
    behind = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, behind):,.{max(behind, 0)}f}"


SMALL = cells("S3, four clients with 1 MiB each, in one chunk")
LARGE = cells("S3, four clients with 100 MiB each, in chunks of 5 MiB")
SMALL_CPU, LARGE_CPU = number(SMALL[2]) / 1e3, number(LARGE[2])
IN_ORDER = number(cells("acknowledge chunks (a lease and a record each), in order")[2])
ONE_CHUNK = number(cells("admit an upload, record its only chunk, complete it")[2])
ONE_REQUEST = number(cells("admit and complete an upload in one step")[2])
BUCKET = WRITES / 3
SPEED = number(LARGE[0].partition("(")[2])


def test_uploads_a_minute_are_sixty_times_those_a_second() -> None:
    section = TEXT[TEXT.index("## One server") : TEXT.index("## One PostgreSQL")]
    rows = re.findall(r"^\| (.*?) \| ([\d.]+)(?: \((\d+) (\w+)/s\))? \| ([\d,]+) \|", section, re.M)
    assert len(rows) == 6
    for name, a_second, speed, unit, a_minute in rows:
        rate = float(a_second)
        if speed:
            size = number(name.partition("with ")[2]) * MiB
            rate = float(speed) * {"MB": 1e6, "MiB": MiB}[unit] / size
            assert float(a_second) == pytest.approx(rate, rel=0.02)
        assert a_minute == rounded(rate * 60, 3), name


@pytest.mark.parametrize(
    "sentence",
    [
        f"| {cells('local disk, 100 KiB in one request')[1]} of 100 KiB in one request, "
        f"{cells('local disk, 100 KiB in chunks (three requests)')[1]} in chunks |",
        f"| {SMALL[1]} of 1 MiB in one chunk each, {LARGE[1]} of 100 MiB |",
        f"| {rounded(ONE_CHUNK * 60, 3)} in one chunk each, "
        f"{rounded(ONE_REQUEST * 60, 3)} in one request |",
        f"not measured; {rounded(BUCKET * 60, 3)} of 1 MiB in one chunk each",
        f"need {WANTED * SMALL_CPU:.0f} cores for servers, a PostgreSQL with "
        f"{WANTED / ONE_CHUNK:.2f} times the speed of this one, and "
        f"{math.ceil(WANTED / BUCKET)} partitions of the bucket",
        f"At {SMALL[2].removesuffix(' each')}, one core takes at most {1 / SMALL_CPU:.0f} uploads",
        f"{ONE_CHUNK:,.0f} × 60 = {rounded(ONE_CHUNK * 60, 3)} uploads a minute",
        f"{IN_ORDER:,.0f} chunks of 5 MiB a second are {IN_ORDER * PART / GiB:.1f} GiB/s, "
        f"as much as {IN_ORDER * PART / MiB // SPEED:.0f} servers",
        f"With chunks of 64 KiB, they are {IN_ORDER / 16:.0f} MiB/s",
        f"{WANTED:,.0f} uploads a second leave {1e3 / WANTED:.1f} ms for each",
        f"one prefix takes {BUCKET:,.0f} of them a second, or {rounded(BUCKET * 60, 3)} a minute",
        f"CPU time = {LARGE_CPU} s for each GiB of large files, "
        f"{SMALL_CPU * 1e3:.0f} ms for each file of 1 MiB",
    ],
)
def test_a_sentence_follows_from_what_was_measured(sentence: str) -> None:
    assert sentence in FLAT


LARGE_HOURS = f"{rounded(TB / GiB * LARGE_CPU / 3600, 2)} h"


@pytest.mark.parametrize(
    ("name", "size", "requests", "paid", "hours"),
    [
        ("1 GB, chunks of 5 MiB", 10**9, 5 + 191, 4 + 191, LARGE_HOURS),
        ("100 MiB, chunks of 5 MiB", 100 * MiB, 5 + 20, 4 + 20, LARGE_HOURS),
        ("1 MiB, one chunk each", MiB, 3, 2, f"{rounded(TB / MiB * SMALL_CPU / 3600, 2)} h"),
        ("100 KiB, one request each", 100 * KiB, 3, 2, "not measured"),
    ],
)
def test_what_a_terabyte_costs_follows_from_its_requests(
    name: str, size: int, requests: int, paid: int, hours: str
) -> None:
    files = TB / size
    in_all, price, _, cpu = cells(name)
    scale = 1e6 if "million" in in_all else 1
    assert number(in_all) * scale == pytest.approx(files * requests, rel=0.02)
    assert number(price) == pytest.approx(files * paid * PRICE, rel=0.01)
    assert cpu == hours
