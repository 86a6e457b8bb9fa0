"""The server does not look through what it has loaded for garbage."""

from __future__ import annotations

import gc
import socket

import pytest
import uvicorn
from fastapi import FastAPI

from wherry import server
from wherry.settings import Settings


def test_what_was_loaded_before_the_first_request_is_never_looked_through_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = [server]  # lists are what the collector looks through

    def run(self: uvicorn.Server, sockets: list[socket.socket]) -> None:
        gc.collect()
        found.append(any(each is loaded for each in gc.get_objects()))

    found: list[bool] = []
    monkeypatch.setattr(uvicorn.Server, "run", run)
    try:
        server.run(FastAPI(), [], Settings())
    finally:
        gc.unfreeze()

    assert found == [False]
