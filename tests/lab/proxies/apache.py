"""Apache httpd, and ModSecurity in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers import NotInstalled
from tests.lab.proxies import Front, MiB, Proxy, Setup
from tests.lab.proxies.installing import install_package, install_packages

from wherry.testing.apache import find_apache

MODULES = (
    "mpm_event",
    "authz_core",
    "headers",
    "http2",
    "proxy",
    "proxy_http",
    "reqtimeout",
    "rewrite",
    "setenvif",
    "socache_shmcb",
    "ssl",
    "unixd",
)
#: mod_proxy passes on what LimitRequestBody would refuse, so a limit is a rule on the header.
ABOVE_1_MIB = "RewriteEngine On\nRewriteCond %{HTTP:Content-Length} -gt1048576\nRewriteRule ^ - "
SETUPS: Sequence[Setup] = (
    Setup("default", is_marked=False),
    Setup("LimitRequestBody 1048576", "LimitRequestBody 1048576", is_marked=False),
    Setup("413 above 1 MiB", ABOVE_1_MIB + "[R=413,L]", limit=MiB),
    Setup("403 above 1 MiB", ABOVE_1_MIB + "[F]", limit=MiB),
    Setup("413 without CORS", ABOVE_1_MIB + "[R=413,L]", limit=MiB, is_cross_origin=True),
    Setup(
        "5 s for a body, slow line",
        "RequestReadTimeout body=5",
        rate=MiB,
        size=12_000_000,
        is_marked=False,
        timer="whole",
    ),
    Setup(
        "headers removed",
        "\n".join(
            f"RequestHeader unset {name}"
            for name in ("Content-Digest", "Repr-Digest", "Content-Disposition", "Idempotency-Key")
        ),
        is_marked=False,
    ),
    Setup("HTTP/2 in front", ABOVE_1_MIB + "[R=413,L]", limit=MiB, is_tls=True),
)


class Apache(Proxy):
    key = "apache"
    title = "Apache httpd"
    who = "apache"
    setups: Sequence[Setup] = SETUPS
    modules: Sequence[str] = MODULES

    def install(self, cache: Path) -> str:
        program, _ = self.find_program()
        said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
        return said.split("Apache/")[1].split()[0]

    def find_program(self) -> tuple[str, Path]:
        """The program, and the folder of its modules."""
        found = find_apache()
        if found is None:
            install_package("apache2", "apache2-bin")
            found = find_apache()
        if found is None:
            raise NotInstalled("apache2-bin has no mod_proxy")
        return found

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        program, modules = self.find_program()
        file = front.folder / "httpd.conf"
        file.write_text(self.configure(modules, front))
        return [program, "-d", str(front.folder), "-f", str(file), "-DFOREGROUND"]

    def configure(self, modules: Path, front: Front) -> str:
        tls = ""
        if front.setup.is_tls:
            tls = (
                "Protocols h2 http/1.1\nSSLEngine on\n"
                f"SSLCertificateFile {front.certificate}\nSSLCertificateKeyFile {front.key}"
            )
        rest = f"""\
{tls}
ProxyPreserveHost On
{front.setup.text}
ProxyPass / http://127.0.0.1:{front.upstream}/
"""
        return self.around(modules, front, rest)

    def around(self, modules: Path, front: Front, rest: str) -> str:
        """What a distribution's apache2.conf has before its hosts."""
        load = "\n".join(
            f"LoadModule {name}_module {modules}/mod_{name}.so"
            for name in self.modules
            if (modules / f"mod_{name}.so").exists()  # some builds include them in the program
        )
        # Started by root, Apache must be given another user, which has to read nothing here.
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        return f"""\
{load}
{user}
Listen 127.0.0.1:{front.port}
ServerName localhost
PidFile {front.folder}/httpd.pid
ErrorLog {front.folder}/error.log
DefaultRuntimeDir {front.folder}
{rest}"""


CORE_RULES = "Include /usr/share/modsecurity-crs/owasp-crs.load"
#: As Debian's modsecurity.conf-recommended, with the engine on.
RECOMMENDED = """\
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyLimitAction Reject
"""


class ModSecurity(Apache):
    """A filter that reads bodies, with the limits that it recommends, and the OWASP rules."""

    key = "modsecurity"
    title = "Apache with ModSecurity"
    modules: Sequence[str] = (*MODULES, "unique_id", "security2")
    setups: Sequence[Setup] = (
        Setup("recommended limits", RECOMMENDED, limit=13107200),
        Setup("recommended limits, OWASP rules", RECOMMENDED + CORE_RULES, limit=131071),
    )

    def install(self, cache: Path) -> str:
        version = super().install(cache)
        _, modules = self.find_program()
        if not (modules / "mod_security2.so").exists() or not Path("/etc/modsecurity/crs").exists():
            install_packages("libapache2-mod-security2", "modsecurity-crs")
        return version

    def around(self, modules: Path, front: Front, rest: str) -> str:
        folders = "SecDataDir /tmp\nSecTmpDir /tmp\nSecAuditEngine Off\n"
        return super().around(modules, front, folders + rest)
