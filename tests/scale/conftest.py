"""Several servers with one database and one bucket, behind one nginx."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.scale.wire import Wire

from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.postgres import Postgres, postgres, require_postgres
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import Server

#: How many servers there are, and how many workers.
PODS, WORKERS = 3, 3


@dataclass
class Worker:
    """`wherry worker` in a process of its own."""

    data: Path
    options: dict[str, object]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "wherry", "worker", "--data", str(self.data)]
        for name, value in self.options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Cluster:
    """`url` is that of nginx, which gives requests to all servers in turn.

    `wires`: those of each server, to the database, to the store, and from nginx.
    """

    url: str
    pods: list[Server]
    wires: list[list[Wire]]
    workers: list[Worker]
    database: Postgres
    database_url: str
    store: S3Server
    prefix: str

    @property
    def objects(self) -> Path:
        """The folder of all objects below the prefix."""
        return self.store.folder / BUCKET / self.prefix

    def logs(self) -> str:
        logs = [pod.log for pod in self.pods]
        logs += [worker.data.with_suffix(".log") for worker in self.workers]
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs)


@pytest.fixture
def cluster(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    require_postgres()
    require_nginx()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    prefix = tmp_path.name
    with ExitStack() as running:
        database = running.enter_context(postgres())  # of its own: it is restarted
        url = database.new_database()
        options: dict[str, object] = {
            "database": url,
            "storage": f"s3://{BUCKET}/{prefix}",
            "s3_endpoint": s3_server.endpoint,
        }

        def wired(address: str) -> tuple[Wire, str]:
            port = urlsplit(address).port
            assert port is not None
            wire = running.enter_context(Wire(port).open())
            return wire, address.replace(f":{port}", f":{wire.port}")

        pods, wires = list[Server](), list[list[Wire]]()
        for number in range(PODS):
            to_database, its_database = wired(url)
            to_store, its_endpoint = wired(s3_server.endpoint)
            its = options | {"database": its_database, "s3_endpoint": its_endpoint}
            pod = Server(tmp_path / f"pod-{number}", **its, run_worker="false", completion_lease=3)
            pods.append(pod)
            wires.append([to_database, to_store, running.enter_context(Wire(pod.port).open())])
        workers = [Worker(tmp_path / f"worker-{number}", options) for number in range(WORKERS)]
        processes: list[Server | Worker] = [*pods, *workers]
        for process in processes:
            running.callback(process.kill)
            process.start()
        first, *others = (from_nginx.port for _, _, from_nginx in wires)
        proxy = running.enter_context(nginx(first, max_body="64m", more_ports=others))
        yield Cluster(f"{proxy.url}/api", pods, wires, workers, database, url, s3_server, prefix)
