"""Makes deploy/kubernetes/wherry.yaml from the chart.

python -m tests.deploy.manifests
"""

from __future__ import annotations

import re

from tests.deploy.programs import DEPLOY, render

FOLDER = DEPLOY / "kubernetes"
TARGET = FOLDER / "wherry.yaml"
_HEAD = (
    "# Made by `make manifests` from the chart in deploy/helm/wherry. Change the chart instead.\n"
)
#: What would claim that Helm keeps these objects.
_OF_HELM = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.M)


def plain_manifests() -> str:
    return _HEAD + _OF_HELM.sub("", render(FOLDER / "values.yaml"))


if __name__ == "__main__":
    TARGET.write_text(plain_manifests(), encoding="utf-8")
    print(TARGET)
