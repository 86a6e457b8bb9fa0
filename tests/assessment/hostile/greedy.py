"""A step that asks for what is behind the end of its file."""

import os
from typing import Any

from wherry.assessment.context import Context
from wherry.assessment.reading import ANSWER, QUESTION


def measure(context: Context) -> dict[str, Any]:
    channel = int(context.file.rpartition(":")[2])
    os.write(channel, QUESTION.pack(1 << 40, 1))
    return {"got": len(os.read(channel, ANSWER.size))}
