"""The command that tests start as a worker: `worker.py DATA OPTIONS`.

It works over the real catalog, as `wherry worker` does, with the plan, the timing and the
deadlines of the first steps that the test asks for.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.app.backends import open_catalog, open_lease_clock
from wherry.assessment import lifetime
from wherry.assessment.confine import Bounds
from wherry.assessment.steps import PLAN, current_plan
from wherry.assessment.worker import Assessing, Site, Timing, work
from wherry.core.ranges import Range
from wherry.locks.files import FileLocks
from wherry.settings import Settings
from wherry.storage import Stat, StoredFile
from wherry.storage.local import LocalStorage


def main() -> None:
    data, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="pid=%(process)d %(message)s")
    # On a busy machine, it takes longer to hand an assessment over.
    lifetime.EXIT_TIMEOUT = 60.0
    settings = Settings(data=data, database=options.get("database"))
    work(
        Site(
            open_catalog(settings),
            Elsewhere(data) if options.get("elsewhere") else LocalStorage(data),
            data,
            FileLocks(data),
            database_url=settings.database,
            lease_clock=open_lease_clock(settings),
        ),
        until_stdin_closes=options.get("until_stdin_closes", False),
        assessing=assessing(options),
    )


@dataclass(frozen=True)
class FileElsewhere:
    """A file that other programs cannot open. The first read of all finds the storage away."""

    file: StoredFile
    away: Path
    local_path: None = None

    def stat(self) -> Stat | None:
        return self.file.stat()

    def read(self, within: Range) -> Iterator[bytes]:
        with suppress(FileExistsError):
            self.away.touch(exist_ok=False)
            raise OSError("the store does not answer")
        yield from self.file.read(within)


class Elsewhere(LocalStorage):
    """It is away from the first read on until the file `away` has bytes in it."""

    def present(self) -> None:
        away = self.root / "away"
        if away.exists() and not away.stat().st_size:
            raise OSError("the store does not answer")
        super().present()

    def finished_file(self, upload_id: str, suffix: str) -> Any:
        return FileElsewhere(super().finished_file(upload_id, suffix), self.root / "away")


def assessing(options: dict[str, Any]) -> Assessing:
    deadlines = iter(options.get("deadlines", ()))
    return Assessing(
        plan=current_plan() if options.get("installed") else options.get("plan", PLAN),
        timing=Timing(lease=options.get("lease", 1.0), poll_interval=0.1, progress_interval=0.05),
        allowance=lambda length, duration: Bounds(next(deadlines, 60), processor_seconds=120),
    )


if __name__ == "__main__":
    main()
