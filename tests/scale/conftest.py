"""Several servers with one database and one bucket, behind one nginx."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from tests.parts import need_versitygw
from tests.scale.network import HERE, Machine, network
from tests.scale.wire import Wire

from wherry.auth import Keys, keys_file
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.postgres import Postgres, postgres, require_postgres
from wherry.testing.s3 import BUCKET, S3Server, serving_s3
from wherry.testing.server import Server

#: How many servers there are, and how many workers.
PODS, WORKERS = 3, 3
#: How a warning begins: of the two ways to cut a server off, it is the weaker one.
BEHIND_WIRES = "the servers are behind wires"


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
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def log(self) -> Path:
        """Of all processes that were started here."""
        return self.data.with_suffix(".log")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Line(Protocol):
    """What connects a server with the others: a `Machine`'s link, or a `Wire`."""

    def cut(self) -> None: ...

    def mend(self) -> None: ...


@dataclass
class Cluster:
    """`url` is that of nginx, which gives requests to all servers in turn.

    `lines`: those of each server, to the database, to the store, and from nginx.
    """

    url: str
    key: str
    pods: list[Server]
    lines: list[list[Line]]
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
        logs += [worker.log for worker in self.workers]
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Each server on a machine of its own where the kernel allows that, or else behind wires."""
    require_postgres()
    require_nginx()
    program = need_versitygw()
    with ExitStack() as running:
        machines = list[Machine]()
        try:
            machines = running.enter_context(network(PODS))
        except OSError as error:
            # pytest lists it at the end, whether or not the test passes.
            warnings.warn(f"{BEHIND_WIRES}, because they get no network: {error}", stacklevel=1)
        here = HERE if machines else "127.0.0.1"
        store = running.enter_context(serving_s3(program, tmp_path / "store", here))
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        database = running.enter_context(postgres(address=here))
        url, prefix = database.new_database(), tmp_path.name
        options: dict[str, object] = {
            "database": url,
            "storage": f"s3://{BUCKET}/{prefix}",
            "s3_endpoint": store.endpoint,
        }
        # Beyond a loopback address, a server has to have keys.
        key = Keys(tmp_path / "keys.json").add("ann", operator=True)
        pods, lines, upstreams = list[Server](), list[list[Line]](), list[str]()
        for number in range(PODS):
            data = tmp_path / f"pod-{number}"
            data.mkdir()
            shutil.copy(tmp_path / "keys.json", keys_file(data))
            its: dict[str, object] = options | {"run_worker": "false", "completion_lease": 3}
            if machines:
                machine = machines[number]
                pod = Server(data, **its, host=machine.address)
                pod.before = machine.inside
                lines.append([machine])
                upstreams.append(f"{machine.address}:{pod.port}")
            else:
                to_database, to_store = (
                    running.enter_context(Wire(_port(address)).open())
                    for address in (url, store.endpoint)
                )
                its["database"] = url.replace(f":{_port(url)}", f":{to_database.port}")
                its["s3_endpoint"] = f"http://127.0.0.1:{to_store.port}"
                pod = Server(data, **its)
                from_nginx = running.enter_context(Wire(pod.port).open())
                lines.append([to_database, to_store, from_nginx])
                upstreams.append(f"127.0.0.1:{from_nginx.port}")
            pods.append(pod)
        workers = [Worker(tmp_path / f"worker-{number}", options) for number in range(WORKERS)]
        processes: list[Server | Worker] = [*pods, *workers]
        for process in processes:
            running.callback(process.kill)
            process.start()
        first, *others = upstreams
        proxy = running.enter_context(nginx(first, max_body="64m", more=others))
        yield Cluster(f"{proxy.url}/api", key, pods, lines, workers, database, url, store, prefix)


def _port(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port
