"""The command that tests start as a worker: `worker.py DATA OPTIONS`.

It works over the real catalog, as `wherry worker` does, with the plan, the timing and the
deadline that the test asks for.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from wherry.assessment.confine import Bounds
from wherry.assessment.steps import PLAN, current_plan
from wherry.assessment.worker import Assessing, Site, Timing, work
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.locks.files import FileLocks
from wherry.storage.local import LocalStorage


def main() -> None:
    data, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="pid=%(process)d %(message)s")
    work(
        Site(
            SqliteCatalog(data / "catalog.sqlite"),
            LocalStorage(data),
            data,
            FileLocks(data),
        ),
        until_stdin_closes=options.get("until_stdin_closes", False),
        assessing=assessing(options),
    )


def assessing(options: dict[str, Any]) -> Assessing:
    bounds = Bounds(options.get("deadline", 60), processor_seconds=120)
    return Assessing(
        plan=current_plan() if options.get("installed") else options.get("plan", PLAN),
        timing=Timing(lease=options.get("lease", 1.0), poll_interval=0.1, progress_interval=0.05),
        allowance=lambda length, duration: bounds,
    )


if __name__ == "__main__":
    main()
