"""Async tests run on asyncio, the loop that Wherry is made for."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
