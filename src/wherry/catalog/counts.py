"""How many uploads, assessments and deliveries are in which state, for monitoring.

Rule 1: finished records are not counted. There may be a million complete uploads with all
their parts; those that are unfinished are few, and an index leads to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.upload import HOLDS_SPACE, UNFINISHED, State, Upload
from wherry.core.webhooks import Delivery, DeliveryState

#: The states of assessments that are counted: those that are to be done, and those that failed.
COUNTED = (AssessmentState.QUEUED, AssessmentState.RUNNING, AssessmentState.FAILED)
#: The states of deliveries that are counted: those that are to be sent, and those given up.
COUNTED_DELIVERIES = (DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.GONE)


@dataclass(frozen=True, slots=True)
class Counts:
    """Unfinished uploads by state, open uploads, reserved bytes, the queue, assessments, webhooks.

    `waiting_since`: since when (by the deadline clock) the first upload in the queue waits.
    `queued_since`: the same for the oldest assessment that no worker has begun. None: there
    is none.
    """

    uploads: Mapping[State, int] = field(default_factory=dict, hash=False)
    open: int = 0
    reserved: int = 0
    waiting: int = 0
    waiting_since: float | None = None
    assessments: Mapping[AssessmentState, int] = field(default_factory=dict, hash=False)
    queued_since: float | None = None
    deliveries: Mapping[DeliveryState, int] = field(default_factory=dict, hash=False)


def count(
    found: Iterable[Upload],
    assessed: Iterable[Assessment],
    now: float,
    latest: float = inf,
    deliveries: Iterable[Delivery] = (),
) -> Counts:
    """The counts of these records at `now`; `latest` as in `Upload.is_open`."""
    kept = [upload for upload in found if upload.state in UNFINISHED]
    holding = [upload for upload in kept if upload.state in HOLDS_SPACE]
    queue = [upload.queued_at for upload in kept if upload.queued_at is not None]
    counted = [assessment for assessment in assessed if assessment.state in COUNTED]
    queued = [a.created_at for a in counted if a.state is AssessmentState.QUEUED]
    return Counts(
        uploads=Counter(upload.state for upload in kept),
        open=sum(upload.is_open(now, latest) for upload in holding),
        reserved=sum(upload.limit for upload in holding),
        waiting=len(queue),
        waiting_since=min(queue, default=None),
        assessments=Counter(assessment.state for assessment in counted),
        queued_since=min(queued, default=None),
        deliveries=Counter(d.state for d in deliveries if d.state in COUNTED_DELIVERIES),
    )


def used_by(upload: Upload) -> int:
    """Bytes of this upload's file, as far as it is there."""
    if upload.is_complete():
        return 0 if upload.discarded_at is not None else upload.length or 0
    return upload.received.size if upload.state in HOLDS_SPACE else 0
