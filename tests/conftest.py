"""Async tests run on asyncio, the loop that Wherry is made for."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# How long something takes on a busy machine is no claim of any test.
settings.register_profile("wherry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wherry")

# A job in the background of a shell is deaf to Ctrl-C, and so would be all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
