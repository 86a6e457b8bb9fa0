"""The states of an upload, and the only ways from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    WAITING = "waiting"  #: In the queue; has no disk space yet.
    RECEIVING = "receiving"  #: Accepts bytes.
    COMPLETING = "completing"  #: All bytes are there; the file is being handed over.
    COMPLETE = "complete"  #: Handed over; the state never changes again.
    CANCELLED = "cancelled"  #: The client gave up; the bytes are deleted.
    EXPIRED = "expired"  #: The server gave up; the bytes are deleted.
    FAILED = "failed"  #: Refused for its content or its length; the bytes are deleted.


# The whole life of an upload. `Upload._move` refuses every other transition.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RECEIVING, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.RECEIVING: frozenset({State.COMPLETING, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.COMPLETING: frozenset({State.COMPLETE, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.COMPLETE: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.FAILED: frozenset(),
}

#: States in which an upload's folder exists and its space is reserved.
HOLDS_SPACE = frozenset({State.RECEIVING, State.COMPLETING})
#: States in which bytes are accepted, or will be.
ACCEPTS = frozenset({State.WAITING, State.RECEIVING})
#: States in which the upload still waits for something.
UNFINISHED = HOLDS_SPACE | {State.WAITING}
#: Final states in which the bytes are deleted.
GONE = frozenset({State.CANCELLED, State.EXPIRED, State.FAILED})
