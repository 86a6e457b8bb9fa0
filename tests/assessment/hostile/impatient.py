"""A step that asks and asks, and reads no answer."""

import os
from typing import Any

from wherry.assessment.context import Context
from wherry.assessment.reading import QUESTION


def measure(context: Context) -> dict[str, Any]:
    channel = int(context.file.rpartition(":")[2])
    while True:
        os.write(channel, QUESTION.pack(0, 1))
