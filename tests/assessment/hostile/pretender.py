"""Names a file of somebody else's as its picture."""

from typing import Any

from wherry.assessment.context import Context


def measure(context: Context) -> dict[str, Any]:
    context.artefacts.append({"name": "../../secret.jpg"})
    return {}
