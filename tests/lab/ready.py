"""The configurations of deploy/proxies as they are, but for ports, certificates and addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.proxies import Front, Proxy, Setup
from tests.lab.proxies.apache import Apache
from tests.lab.proxies.caddy import Caddy
from tests.lab.proxies.envoy import Envoy
from tests.lab.proxies.haproxy import Haproxy
from tests.lab.proxies.nginx import Nginx
from tests.lab.proxies.traefik import Traefik

FOLDER = Path(__file__).parents[2] / "deploy" / "proxies"
NAME = "uploads.example.org"
PEM, KEY = f"/etc/ssl/{NAME}.pem", f"/etc/ssl/{NAME}.key"
SERVER = "127.0.0.1:8000"
#: As it stands in deploy/proxies.
READY = Setup("deploy/proxies", is_tls=True)


def replaced(file: str, values: Mapping[str, str]) -> str:
    """The text of a file with other values. Raises `ValueError` for one that it does not have."""
    text = (FOLDER / file).read_text()
    for old, new in values.items():
        if old not in text:
            raise ValueError(f"{file} has no {old!r}")
        text = text.replace(old, new)
    return text


def certificates(front: Front) -> dict[str, str]:
    return {PEM: str(front.certificate), KEY: str(front.key)}


class ReadyNginx(Nginx):
    setups: Sequence[Setup] = (READY,)

    def configure(self, program: str, front: Front) -> str:
        server = replaced(
            "nginx.conf",
            certificates(front)
            | {
                "listen 443": f"listen 127.0.0.1:{front.port}",
                SERVER: f"127.0.0.1:{front.upstream}",
            },
        )
        return self.around(program, front, server)


class ReadyHaproxy(Haproxy):
    setups: Sequence[Setup] = (READY,)

    def configure(self, front: Front) -> str:
        return replaced(
            "haproxy.cfg",
            {
                "bind :443": f"bind 127.0.0.1:{front.port}",
                f"/etc/haproxy/{NAME}.pem": str(self.both(front)),
                SERVER: f"127.0.0.1:{front.upstream}",
            },
        )


class ReadyApache(Apache):
    setups: Sequence[Setup] = (READY,)

    def configure(self, modules: Path, front: Front) -> str:
        host = replaced(
            "apache.conf",
            certificates(front)
            | {"*:443": f"127.0.0.1:{front.port}", SERVER: f"127.0.0.1:{front.upstream}"},
        )
        return self.around(modules, front, host)


class ReadyCaddy(Caddy):
    setups: Sequence[Setup] = (READY,)

    def configure(self, front: Front) -> str:
        own = "{\n admin off\n auto_https off\n persist_config off\n}\n"
        site = f"https://127.0.0.1:{front.port} {{\n bind 127.0.0.1\n"
        site += f"tls {front.certificate} {front.key}\n"
        return own + replaced(
            "Caddyfile", {f"{NAME} {{": site, SERVER: f"127.0.0.1:{front.upstream}"}
        )


class ReadyTraefik(Traefik):
    setups: Sequence[Setup] = (READY,)

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        dynamic = front.folder / "traefik-wherry.yml"
        dynamic.write_text(
            replaced(
                "traefik-wherry.yml",
                certificates(front) | {NAME: "127.0.0.1", SERVER: f"127.0.0.1:{front.upstream}"},
            )
        )
        static = front.folder / "traefik.yml"
        static.write_text(
            replaced(
                "traefik.yml",
                {
                    '":443"': f'"127.0.0.1:{front.port}"',
                    "/etc/traefik/traefik-wherry.yml": str(dynamic),
                },
            )
        )
        return [self.program(cache), f"--configFile={static}"]


class ReadyEnvoy(Envoy):
    setups: Sequence[Setup] = (READY,)

    def configure(self, front: Front) -> str:
        return replaced(
            "envoy.yaml",
            certificates(front)
            | {
                "address: 0.0.0.0, port_value: 443": (
                    f"address: 127.0.0.1, port_value: {front.port}"
                ),
                "port_value: 8000": f"port_value: {front.upstream}",
            },
        )


def find_ready() -> list[Proxy]:
    return [
        ReadyNginx(),
        ReadyHaproxy(),
        ReadyApache(),
        ReadyCaddy(),
        ReadyTraefik(),
        ReadyEnvoy(),
    ]
