"""The leases of all completions that go on in this process, renewed by one thread.

Rule 1: a thread does it, and not a task: a hook that is a coroutine function may block the event
loop for longer than the lease, and then no task would run.

Rule 2: no renewal comes after what is recorded once `kept` has ended. Renewals are submitted under
the mutex that ends them, and the catalog applies changes in the order in which they are submitted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.events import Event


class LeaseKeeper:
    """The thread starts with the first lease, and ends when there has been none for a while."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mutex = threading.Lock()
        self._kept: dict[str, str] = {}  # the upload by the token of its completion
        self._has_thread = False

    @contextmanager
    def kept(self, upload_id: str, token: str) -> Iterator[None]:
        """Until the end of this `with` block, the lease is renewed."""
        with self._mutex:
            if not self._has_thread:
                # Its first step waits for the mutex. If it cannot start, nothing is kept.
                threading.Thread(target=self._run, name="wherry-lease", daemon=True).start()
                self._has_thread = True
            self._kept[token] = upload_id
        try:
            yield
        finally:
            with self._mutex:
                del self._kept[token]

    def _run(self) -> None:
        while True:
            # A lease that was added meanwhile has at most a third of its time behind it.
            time.sleep(self._context.settings.completion_lease / 3)
            with self._mutex:
                if not self._kept:
                    self._has_thread = False
                    return
                renewals = [
                    (token, upload_id, self._renew(upload_id, token))
                    for token, upload_id in self._kept.items()
                ]
            for token, upload_id, renewal in renewals:
                # If it is still kept, the next try may succeed before the lease is over.
                if (error := renewal.exception()) is not None and token in self._kept:
                    self._context.log_event(
                        Event.LEASE_NOT_RENEWED, trace=error, upload_id=upload_id
                    )

    def _renew(self, upload_id: str, token: str) -> Future[Upload]:
        context = self._context

        def renewed(upload: Upload) -> Upload:
            if upload.is_complete():  # recorded a moment ago, and `kept` has not ended yet
                return upload
            return upload.renew(token, context.clock() + context.settings.completion_lease)

        try:
            return context.catalog.submit_update(upload_id, renewed)
        except Exception as error:  # the catalog is closed
            failed: Future[Upload] = Future()
            failed.set_exception(error)
            return failed
