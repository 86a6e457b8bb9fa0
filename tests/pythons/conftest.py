"""Two Pythons are compared where there are two: `make test-pythons` names the other one."""

import os

collect_ignore = [] if os.environ.get("WHERRY_OTHER_PYTHON") else ["test_same_reports.py"]
