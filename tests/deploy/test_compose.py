"""The compose file: by compose's own library, and its parts by the real programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # uvicorn brings it
from tests.deploy.programs import COMPOSE_GO, DEPLOY, run
from tests.e2e.conftest import make_file, sha256

from wherry.client import Client
from wherry.settings import Settings
from wherry.testing.nginx import require_nginx
from wherry.testing.ports import free_port
from wherry.testing.s3 import S3Server
from wherry.testing.server import serving

FOLDER = DEPLOY / "compose"
_VARIABLE = re.compile(r"\$\{(\w+):\?set it in \.env\}")
#: nginx makes these folders when it starts, whether they are needed or not.
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
WHERRY = {"web1", "web2", "worker1", "worker2"}


def parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def source() -> str:
    return (FOLDER / "compose.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What compose makes of the file, with a value for each variable of `.env.example`."""
    copy = tmp_path_factory.mktemp("deploy") / "compose"
    shutil.copytree(FOLDER, copy)
    (copy / "compose.yaml").write_text(_VARIABLE.sub("given", source()))
    found: dict[str, Any] = parsed(run(COMPOSE_GO, copy / "compose.yaml"))["services"]
    return found


def test_every_variable_of_compose_is_in_the_example(services: dict[str, Any]) -> None:
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    assert set(_VARIABLE.findall(source())) == set(re.findall(r"^(\w+)=$", example, re.M))
    assert "$" not in _VARIABLE.sub("", source())
    assert services["web1"]["environment"]["AWS_SECRET_ACCESS_KEY"] == "given"


def test_compose_runs_two_servers_and_two_workers_on_postgresql_and_s3(
    services: dict[str, Any],
) -> None:
    assert set(services) == {*WHERRY, "nginx", "postgres", "s3", "bucket"}
    for name in WHERRY:
        service = services[name]
        assert service.get("command") == (["worker"] if name.startswith("worker") else None)
        assert service["read_only"] is True
        assert service["build"]["dockerfile"] == "deploy/docker/Dockerfile"
        assert set(service["depends_on"]) == {"postgres", "bucket"}
    assert services["nginx"]["ports"][0]["host_ip"] == "127.0.0.1"


def test_the_image_is_built_from_the_root_of_the_repository() -> None:
    build = parsed(source())["x-wherry"]["build"]
    context = (FOLDER / build["context"]).resolve()
    assert context == DEPLOY.parent
    assert (context / build["dockerfile"]).is_file()


def test_the_server_accepts_the_settings_of_compose(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = services["web1"]["environment"]
    assert Settings.unknown_variables(environment) == []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.run_worker is False
    assert settings.database == "postgresql://wherry:given@postgres/wherry"
    assert (settings.storage, settings.s3_endpoint) == ("s3://wherry/uploads", "http://s3:7070")


def test_the_services_are_where_the_settings_say(services: dict[str, Any]) -> None:
    assert services["postgres"]["environment"]["POSTGRES_USER"] == "wherry"
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "wherry"
    store, own = services["s3"]["environment"], services["web1"]["environment"]
    assert store["ROOT_ACCESS_KEY_ID"] == own["AWS_ACCESS_KEY_ID"]
    assert store["ROOT_SECRET_ACCESS_KEY"] == own["AWS_SECRET_ACCESS_KEY"]
    assert ":7070" in services["s3"]["command"]
    assert services["bucket"]["entrypoint"][-1] == own["WHERRY_STORAGE"].split("/")[2]


def test_the_bucket_is_made_once_and_found_again(s3_server: S3Server) -> None:
    environment = {**os.environ, **s3_server.environment}
    command = [sys.executable, str(FOLDER / "bucket.py"), "from-compose"]
    for _ in range(2):
        subprocess.run(
            command, check=True, env={**environment, "WHERRY_S3_ENDPOINT": s3_server.endpoint}
        )
        assert (s3_server.folder / "from-compose").is_dir()


def test_a_file_passes_nginx_as_compose_configures_it(tmp_path: Path) -> None:
    require_nginx()
    film = make_file(tmp_path / "film.mp4", 5 << 20)
    data = tmp_path / "data"
    with serving(data, assessment=False) as one, serving(data, assessment=False) as two:
        text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
        for name, server in (("web1", one), ("web2", two)):
            assert f"server {name}:8000" in text
            text = text.replace(f"{name}:8000", f"127.0.0.1:{server.port}")
        with _nginx(text, tmp_path / "nginx") as url:
            result = Client(f"{url}/api").upload(film)
    assert result.requests > 5, "nginx has a limit of its own: its default"
    [stored] = (data / "files").iterdir()
    assert sha256(stored) == sha256(film)


@contextmanager
def _nginx(server: str, folder: Path) -> Iterator[str]:
    """Run nginx with this configuration of a server, on a free port. Its address."""
    program = require_nginx()
    folder.mkdir()
    port = free_port()
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    kinds = [k for k in _TEMPORARY if f"--without-http_{k}_module" not in built]
    (folder / "server.conf").write_text(server.replace("listen 80;", f"listen 127.0.0.1:{port};"))
    (folder / "nginx.conf").write_text(
        "daemon off; master_process off; pid nginx.pid; error_log error.log; events {}\n"
        "http { access_log off; include server.conf;\n"
        + "".join(f"{kind}_temp_path {kind};\n" for kind in kinds)
        + "}\n"
    )
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "nginx.pid").exists():
            assert process.poll() is None, "nginx does not accept the configuration"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
