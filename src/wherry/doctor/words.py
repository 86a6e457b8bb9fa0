"""Numbers of bytes as the doctor writes them."""

from __future__ import annotations


def size(count: int) -> str:
    """`1 MiB`, `4.5 MB`: in the unit in which it is round, else with one decimal."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor and count % factor == 0:
            return f"{count // factor} {unit}"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= factor and (count * 10) % factor == 0:
            return f"{count / factor:g} {unit}"
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit} ({count:,} bytes)"
    return f"{count} bytes"
