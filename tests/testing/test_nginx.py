"""The nginx that tests start is a real one, and our own proxy refuses where it refuses."""

from __future__ import annotations

import unittest
from pathlib import Path

import httpx2
import pytest
from tests.testing.conftest import Upstream

from wherry.core.limits import KiB, MiB
from wherry.testing import nginx as module
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.proxy import LimitingProxy

pytestmark = pytest.mark.anyio


@pytest.mark.nginx
@pytest.mark.parametrize(("max_body", "limit"), [(None, MiB), ("100k", 100 * KiB)])
async def test_nginx_and_our_proxy_refuse_the_same(
    upstream: Upstream, max_body: str | None, limit: int
) -> None:
    require_nginx()
    with nginx(upstream.port, max_body) as proxy:
        async with (
            LimitingProxy("127.0.0.1", upstream.port, max_body=limit) as ours,
            httpx2.AsyncClient(timeout=60) as client,
        ):
            for size in (0, 1, limit - 1, limit, limit + 1, 3 * limit):
                theirs = await client.post(proxy.url, content=bytes(size))
                mine = await client.post(ours.url, content=bytes(size))
                assert theirs.status_code == mine.status_code == (200 if size <= limit else 413)
                for header in ("connection", "content-type"):
                    if size > limit:
                        assert mine.headers[header] == theirs.headers[header]
            assert proxy.refused() == ours.refused == 2
    assert proxy.refused() == 2
    assert proxy.answers()[200] == 4
    assert set(proxy.answers()) <= {200, 413}


@pytest.mark.nginx
async def test_two_nginx_at_once_do_not_meet(upstream: Upstream) -> None:
    require_nginx()
    with nginx(upstream.port) as one, nginx(upstream.port, "2m") as two:
        async with httpx2.AsyncClient(timeout=60) as client:
            statuses = [
                (await client.post(proxy.url, content=bytes(2 * MiB))).status_code
                for proxy in (one, two)
            ]
    assert statuses == [413, 200]
    assert upstream.heard[0].headers["host"] == f"127.0.0.1:{two.port}"


@pytest.mark.nginx
def test_an_nginx_that_does_not_start_gives_the_reason() -> None:
    require_nginx()
    with pytest.raises(RuntimeError, match="client_max_body_size"), nginx(1, "much"):
        pass


def test_a_test_without_nginx_is_skipped_but_never_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_nginx", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(unittest.SkipTest, match="nginx"):
        require_nginx()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="CI"):
        require_nginx()


def test_nginx_is_found_where_only_root_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(module, "_BESIDES", ("/neither", str(tmp_path)))
    assert module.find_nginx() == str(program)
    program.unlink()
    assert module.find_nginx() is None
