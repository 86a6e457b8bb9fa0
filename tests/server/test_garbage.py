"""The server does not look through what it has loaded for garbage."""

from __future__ import annotations

import gc

from wherry import server


def test_what_was_loaded_before_the_first_request_is_never_looked_through_again() -> None:
    loaded = [server]  # lists are what the collector looks through
    try:
        server.keep_loaded()
        gc.collect()
        assert not any(each is loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()
