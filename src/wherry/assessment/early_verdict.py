"""Looks at the bytes that an unfinished upload has, in the sandbox of the steps.

Rule 1: a finding that is told early is in the report, too. The step may read only bytes that have
been received, so those that are still to come cannot change what it found.

Rule 2: nothing here imports PyAV: the file is parsed in a child process, within `BOUNDS`.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from wherry.assessment.confine import Bounds
from wherry.assessment.kinds import is_called_media
from wherry.assessment.partial_copy import SCRATCH, Interrupted
from wherry.assessment.policy import Policy
from wherry.assessment.progress import StepResult
from wherry.assessment.report import find, parse_results, verdict
from wherry.assessment.sandbox import READ_ONLY, Sandbox
from wherry.core.early_verdict import EarlyVerdict
from wherry.core.limits import MiB
from wherry.core.ranges import PartSet, Range
from wherry.core.upload import Upload
from wherry.storage import StoredFile

STEP = f"{__package__}.steps.probe:measure_early"
#: What a look may use. It reads headers, which takes less than a second.
BOUNDS = Bounds(seconds=20.0, processor_seconds=20, memory=1024 * MiB)
#: A look that lacks bytes probably lacks those behind them: so many at least, and this share of
#: the file.
AHEAD, SHARE = MiB, 100
#: The folder of a step is older only if its process was killed (seconds).
ABANDONED = 3600.0


class ReceivedBytes:
    """The unfinished file at `path`; a step that asks for other bytes than `received` is ended."""

    def __init__(self, path: Path, length: int, received: PartSet) -> None:
        self.path, self.length, self.waited = path, length, 0.0
        #: The bytes for want of which the step was ended.
        self.needs: Range | None = None
        self._received = received

    def open(self) -> int:
        """A descriptor for reading, to close. Raises `Interrupted`, `OSError`."""
        descriptor = os.open(self.path, READ_ONLY | os.O_NOFOLLOW)
        if os.fstat(descriptor).st_size != self.length:
            os.close(descriptor)
            raise Interrupted
        return descriptor

    def fetch(self, at: int, count: int) -> tuple[int, int]:
        """Nothing is to be fetched, and the next question has an answer of its own."""
        missing = self._received.missing(Range(at, at + count), 1)
        if missing:
            ahead = max(AHEAD, self.length // SHARE)
            self.needs = Range(missing[0].start, min(missing[0].start + ahead, self.length))
            self.needs = Range(self.needs.start, max(self.needs.end, at + count))
            raise Interrupted
        return 0, 0

    def fetch_all(self) -> None:
        """Not all of it is there. Raises `Interrupted`."""
        raise Interrupted


class EarlyLooks:
    """Looks at unfinished uploads by one policy. The methods may be called on any thread."""

    def __init__(self, policy: Policy, scratch: Path) -> None:
        """`scratch`: a folder in which the steps may have folders of their own while they run."""
        self._policy, self._scratch = policy, scratch
        for folder in scratch.glob(f"{SCRATCH}*"):
            with suppress(OSError):  # another process has removed it
                if time.time() - folder.stat().st_mtime > ABANDONED:
                    shutil.rmtree(folder)
        self._sandbox = Sandbox()

    @staticmethod
    def is_worthwhile(upload: Upload) -> bool:
        """Whether there may be something to see before the end."""
        return is_called_media(upload.filename, upload.content_type)

    def look(self, upload: Upload, file: StoredFile) -> EarlyVerdict:
        """What the received bytes of this unfinished upload show. Blocks; raises `OSError`."""
        path, length = file.local_path, upload.length
        if path is None or not length:
            return EarlyVerdict(problem="The server cannot read unfinished uploads of this kind.")
        received = ReceivedBytes(path, length, upload.received)
        try:
            outcome = self._sandbox.run(
                STEP, received, self._scratch, _keep_nothing, BOUNDS, by_ranges=True
            )
        except Interrupted:
            if received.needs is not None:
                return EarlyVerdict(needs=received.needs)
            return EarlyVerdict(problem="The server could not look at the file.")
        result = StepResult("probe", "done", outcome.seconds, outcome.result)
        called_media = is_called_media(upload.filename, upload.content_type)
        found = parse_results([result], called_media=called_media)
        if outcome.problem is not None or found.invalid:
            return EarlyVerdict(problem="The server could not look at the file.")
        findings = list(find(length, self._policy, [result], found))
        return EarlyVerdict(
            self._policy.name,
            verdict(findings, not_media=found.not_media),
            tuple(finding.model_dump(mode="json") for finding in findings),
        )

    def close(self) -> None:
        """End every look now, and refuse others."""
        self._sandbox.close()


def _keep_nothing(name: str, data: bytes) -> None:
    """The step draws no pictures."""
