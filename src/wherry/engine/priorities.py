"""The priority of an assessment, as the application sets it.

Rule 1: a file that is complete is never refused for its priority. What the application's function
raises is logged, and the assessment gets the usual priority.
"""

from __future__ import annotations

from wherry.core.assessment import parse_priority
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.engine.finished import finished_file
from wherry.events import Event


def priority_of(context: Context, upload: Upload) -> int:
    """The priority of the assessment of this upload, whose file has its final name.

    Blocks for as long as the function of the application takes.
    """
    given = context.priority
    if isinstance(given, int):
        return given
    stored = context.storage.finished_file(upload.id, upload.suffix)
    try:
        return parse_priority(given(finished_file(upload, stored)))
    except BaseException as error:  # also `SystemExit`, as of hooks
        context.log_event(Event.PRIORITY_FAILED, upload, trace=error)
        return 0
