"""The cells of all runs, kept in the cache, so that one proxy can be measured again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.doctor import Examined
from tests.lab.measuring import Cell, Sent

#: What the column with the doctor's verdict is called.
DOCTOR = "doctor"


@dataclass
class Results:
    """`versions`: of each proxy that was measured; `left_out`: why one was not."""

    cells: list[Cell] = field(default_factory=list)
    examined: list[Examined] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def put(self, cell: Cell) -> None:
        """Add a cell in place of an earlier one."""
        key = (cell.proxy, cell.setup, cell.client)
        self.cells = [each for each in self.cells if (each.proxy, each.setup, each.client) != key]
        self.cells.append(cell)

    def find(self, proxy: str, setup: str, client: str) -> Cell | None:
        for cell in self.cells:
            if (cell.proxy, cell.setup, cell.client) == (proxy, setup, client):
                return cell
        return None

    def put_examined(self, found: Examined) -> None:
        """Add a verdict in place of an earlier one."""
        key = (found.proxy, found.setup)
        self.examined = [each for each in self.examined if (each.proxy, each.setup) != key]
        self.examined.append(found)

    def find_examined(self, proxy: str, setup: str) -> Examined | None:
        for each in self.examined:
            if (each.proxy, each.setup) == (proxy, setup):
                return each
        return None

    def write(self, folder: Path, proxy: str, column: str) -> None:
        """Write one column of a proxy into a file of its own: several runs may go on at once."""
        folder.mkdir(parents=True, exist_ok=True)
        found = {
            "cells": [asdict(each) for each in self.cells if _belongs(each, proxy, column)],
            "examined": [
                asdict(each) for each in self.examined if (each.proxy, DOCTOR) == (proxy, column)
            ],
            "versions": {proxy: self.versions[proxy]},
        }
        (folder / f"{proxy}-{column}.json").write_text(json.dumps(found, indent=1))

    def add(self, text: str) -> None:
        """Add what a file has."""
        found = json.loads(text)
        for cell in found["cells"]:
            known = Sent(**cell["known"]) if cell["known"] else None
            self.put(Cell(**{**cell, "unknown": Sent(**cell["unknown"]), "known": known}))
        for each in found["examined"]:
            self.put_examined(Examined(**each))
        self.versions |= found["versions"]


def _belongs(cell: Cell, proxy: str, client: str) -> bool:
    """Whether it was measured for this proxy, or beside it without a proxy."""
    is_beside = cell.setup.startswith(f"beside {proxy}:")
    return cell.client == client and (cell.proxy == proxy or is_beside)


def read_results(folder: Path) -> Results:
    """Those of all runs so far."""
    results = Results()
    for file in sorted(folder.glob("*.json")):
        results.add(file.read_text())
    return results
