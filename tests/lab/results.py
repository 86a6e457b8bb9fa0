"""The cells of all runs, kept in the cache, so that one proxy can be measured again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.doctor import Examined
from tests.lab.measuring import Cell, Sent


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

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1))


def read_results(file: Path) -> Results:
    """Those of earlier runs; none if there are none."""
    if not file.exists():
        return Results()
    found = json.loads(file.read_text())
    cells = [
        Cell(
            **{
                **cell,
                "unknown": Sent(**cell["unknown"]),
                "known": Sent(**cell["known"]) if cell["known"] else None,
            }
        )
        for cell in found["cells"]
    ]
    examined = [Examined(**each) for each in found.get("examined", ())]
    return Results(cells, examined, found["versions"], found["left_out"])
