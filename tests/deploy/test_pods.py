"""Servers and a worker as the manifests run them: each with a data folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.deploy.programs import DEPLOY, container, find, parse
from tests.e2e.conftest import Api
from tests.parts import need_package

from wherry.client import Client
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.s3 import S3Server
from wherry.testing.server import serving
from wherry.testing.video import make_video

MANIFESTS = parse((DEPLOY / "kubernetes" / "wherry.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def environment(
    s3_server: S3Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What the manifests set, with the addresses of servers that there are."""
    data: dict[str, str] = find(MANIFESTS, "ConfigMap")["data"]
    given = data | s3_server.environment
    given |= {"WHERRY_DATABASE": database, "WHERRY_S3_ENDPOINT": s3_server.endpoint}
    given["WHERRY_STORAGE"] = f"s3://{s3_server.make_bucket('pods')}/wherry"
    given["WHERRY_STOP_DELAY"] = "0.1"  # there is no load balancer to wait for
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


@contextmanager
def working(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command of the worker's container."""
    [command] = container(find(MANIFESTS, "Deployment", "-worker"))["args"]
    process = subprocess.Popen([sys.executable, "-m", "wherry", command, "--data", str(data)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("environment")
def test_pods_share_nothing_but_the_database_and_the_bucket(tmp_path: Path) -> None:
    require_nginx()
    need_package("dbos")
    film = make_video(tmp_path / "film.mp4", seconds=2, size_at_least=7 << 20)
    with ExitStack() as stack:
        one, two = (stack.enter_context(serving(tmp_path / name)) for name in ("one", "two"))
        worker = stack.enter_context(working(tmp_path / "worker"))
        proxy = stack.enter_context(nginx(one.port, more=[two.port]))
        client = Client(f"{proxy.url}/api")
        uploaded = client.upload(film)
        assert uploaded.requests > 7, "the chunks were to be small, and to go to both"
        assert uploaded.assessment_id is not None
        assessed = client.wait_for_assessment(uploaded.assessment_id)
        assert assessed.state == "done", assessed.problem
        assert worker.poll() is None, "the worker ended by itself"
        for pod in (one, two):
            with Api(pod.url) as api:
                address = f"/chunked-upload/files/{uploaded.upload_id}"
                answer = api.http.get(address, follow_redirects=True)
                assert answer.content == film.read_bytes()
    kept = [path for path in tmp_path.rglob("*") if path.stat().st_size >= 1 << 20]
    assert kept == [film], "a pod kept a file on its disk"
