"""Numbers of bytes as the command line prints them."""

from __future__ import annotations


def size(count: int) -> str:
    """`5 MiB`, `1.5 MiB`: in powers of 1024, with one decimal where there is one."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
