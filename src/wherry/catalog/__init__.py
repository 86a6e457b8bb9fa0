"""The catalog keeps facts: uploads with their parts, and assessments.

Rule 1: a change is a pure function of `core`, applied inside one transaction to
what is recorded at that moment. When it raises, nothing has changed.

Rule 2: what a method returned from survives power loss.

Rule 3: reading never waits for a writer, and what is about one upload never waits for a
list. Lists come in pages, and a page takes as long however many records there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Protocol

from wherry.catalog.counts import Counts
from wherry.core.admission import Line
from wherry.core.assessment import Assessment
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.upload import State, Upload

Change = Callable[[Upload], Upload]
Choice = Callable[[Line], Collection[str]]


class Catalog(Protocol):
    async def create(self, upload: Upload) -> Upload:
        """Record a new upload.

        If the owner already has a waiting or receiving one with the same fingerprint
        (not None), limit and length, that one is returned instead.
        """

    async def line(self, now: float, latest: float = inf) -> Line:
        """Who waits, and what is taken at `now`: slots that end after it, reserved bytes.

        A slot that ends after `latest` is over, as `Upload.is_open` says.
        """

    async def advance(
        self, now: float, choose: Choice, change: Change, latest: float = inf
    ) -> list[Upload]:
        """Apply `change` to the uploads that `choose` names of the line, in one transaction.

        Raises `UploadNotFound`, and what `choose` and `change` raise.
        """

    async def load(self, upload_id: str) -> Upload:
        """Raises `UploadNotFound`."""

    async def tokens(self, upload_id: str) -> frozenset[str]:
        """The tokens of the leases on an upload: `load` for who wants to know no more."""

    async def update(
        self, upload_id: str, change: Change, queue: Assessment | None = None
    ) -> Upload:
        """Apply `change` and record its result; with `queue`, add that assessment too.

        `queue` is added in the same transaction, and only if the upload has none yet.
        Raises `UploadNotFound`, and what `change` raises.
        """

    def update_blocking(self, upload_id: str, change: Change) -> Upload:
        """`update` for a thread that no event loop may hold up."""

    async def uploads(
        self,
        states: Collection[State] | None = None,
        owner: str | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Upload]:
        """Some of these uploads, oldest first if not said otherwise."""

    async def alike(self, owner: str, fingerprint: str) -> list[Upload]:
        """The owner's newest uploads with this fingerprint, `PAGE` at most; newest first."""

    async def ids(self, states: Collection[State]) -> frozenset[str]:
        """The identifiers of all uploads in these states, which should be few."""

    async def due(
        self, states: Collection[State], before: float, now: float, page: PageRequest = FIRST_PAGE
    ) -> Page[Upload]:
        """Of these states those that were created at `before` or earlier.

        And those that seem to have been created after `now`: the clock was set back.
        """

    async def due_files(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        """Complete uploads created at `before` or earlier whose file is there.

        Without those whose assessment still needs it.
        """

    async def due_records(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        """Uploads whose file was discarded at `before` or earlier, in the order of that."""

    async def counts(self, now: float, latest: float = inf) -> Counts:
        """How many unfinished records there are at `now`; finished ones are never read."""

    async def newest(self) -> float | None:
        """The latest moment, by the clock of deadlines; None: there is none.

        Of all uploads: when one was created, or its file discarded. Of the unfinished: when
        one came, was leased or recorded.
        """

    async def used(self) -> int:
        """Bytes of all files that are there: what came of the unfinished, and finished ones."""

    async def forget(self, upload_ids: Collection[str]) -> None:
        """Delete these records, with their parts and assessments."""

    async def load_assessment(self, assessment_id: str) -> Assessment:
        """Raises `NotThere`."""

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        """Raises `NotThere`, and what `change` raises."""

    async def lease_assessment(
        self, now: float, change: Callable[[Assessment], Assessment]
    ) -> Assessment | None:
        """Apply `change` to the oldest that can be leased at `now`; None if there is none."""

    async def assessments(self, page: PageRequest = FIRST_PAGE) -> Page[Assessment]:
        """Some of the assessments, oldest first if not said otherwise."""

    async def close(self) -> None:
        """Finish what was begun and let go of the files."""
