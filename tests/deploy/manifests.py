"""Makes the plain manifests in deploy/kubernetes from the chart.

python -m tests.deploy.manifests
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.programs import DEPLOY, render

FOLDER = DEPLOY / "kubernetes"
#: Each file, and what helm is told besides the values.
TARGETS: Mapping[Path, tuple[str, ...]] = {
    FOLDER / "wherry.yaml": (),
    FOLDER / "migration" / "job.yaml": (
        *("--set", "migration.enabled=true"),
        *("--show-only", "templates/migration.yaml"),
    ),
    FOLDER / "autoscaling" / "hpa.yaml": (
        *("--set", "web.autoscaling.enabled=true,worker.autoscaling.enabled=true"),
        *("--show-only", "templates/autoscaling.yaml"),
    ),
}
_HEAD = (
    "# Made by `make manifests` from the chart in deploy/helm/wherry. Change the chart instead.\n"
)
#: What would claim that Helm keeps these objects, and when Helm would run them.
_OF_HELM = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.M)
_HOOKS = re.compile(r"^  annotations:\n(    #.*\n|    helm\.sh/.*\n)+", re.M)


def plain_manifests(target: Path) -> str:
    """What belongs into one of the `TARGETS`."""
    text = _OF_HELM.sub("", render(FOLDER / "values.yaml", *TARGETS[target]))
    return _HEAD + _HOOKS.sub("", text)


if __name__ == "__main__":
    for target in TARGETS:
        target.write_text(plain_manifests(target), encoding="utf-8")
        print(target)
