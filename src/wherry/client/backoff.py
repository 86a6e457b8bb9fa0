"""When to try again after an error, and when to give up.

Rule 1: no clock and no randomness, as in `plan`: both come in as arguments.
"""

from __future__ import annotations

from wherry.client.errors import ClientError, GaveUp

#: Back-off: the first pause is at most `BACKOFF` seconds, each further one twice as long.
BACKOFF, LONGEST_BACKOFF = 0.1, 30.0
#: Seconds between two requests to a server that is full or busy, if it does not name a time.
#: An admitted upload keeps its slot for a minute, so no pause is longer than `LONGEST_WAIT`.
POLL_INTERVAL, LONGEST_WAIT = 1.0, 30.0
#: A request that starts this many seconds after the end of a pause counts failures from zero.
ASLEEP = 60.0


def pause_of(retry_after: float | None) -> float:
    """Seconds to wait for room or for an end, whatever time the answer names."""
    return min(retry_after or POLL_INTERVAL, LONGEST_WAIT)


class Backoff:
    """When to try again, and when to give up. Progress resets the count of failures."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout  #: Seconds without progress, counted from the first failure.
        self.until = 0.0  #: Nothing is sent before this time.
        self.in_trouble = False  #: No request got through since the last error.
        self.failures = 0  #: Without progress since.
        self._failing_since = 0.0
        self._failed_at = 0.0

    def progressed(self, began: float) -> None:
        """A request got through. One that `began` before the last failure proves nothing."""
        if began >= self._failed_at:
            self.failures, self.in_trouble = 0, False

    def waits(self, error: ClientError, now: float) -> None:
        """The server has no room yet. That is not a failure, however long it takes."""
        self.in_trouble = True
        self._failed_at = now
        self.until = max(self.until, now + pause_of(error.retry_after))

    def failed(self, error: ClientError, began: float, now: float, jitter: float) -> None:
        """Set the next pause. Raises `GaveUp` if it would exceed the timeout.

        `began`: when the failed request was started. Requests that were in flight together
        fail together, and count once.
        """
        if began > self.until + ASLEEP:
            self.failures = 0  # The computer was asleep meanwhile.
        # A range lost to another client is no trouble: the server is there.
        self.in_trouble = self.in_trouble or error.code != "superseded"
        if self.failures == 0:
            self._failing_since = now
        if self.failures == 0 or began >= self._failed_at:
            self.failures += 1
            self._failed_at = now
        pause = jitter * min(LONGEST_BACKOFF, BACKOFF * 2.0 ** (self.failures - 1))
        said = min(error.retry_after or 0.0, LONGEST_WAIT)
        self.until = max(self.until, now + max(pause, said))
        if self.until - self._failing_since > self.timeout:
            raise GaveUp(
                f"No progress for {now - self._failing_since:.0f} s: {error.detail}",
                "What the server acknowledged is safe. Upload the same file again later to resume.",
                error.code,
                error.status,
                retryable=True,
            ) from error
