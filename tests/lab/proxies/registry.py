"""All proxies of the laboratory."""

from __future__ import annotations

from tests.lab.proxies import Proxy
from tests.lab.proxies.apache import Apache, ModSecurity
from tests.lab.proxies.caddy import Caddy
from tests.lab.proxies.documented import Documented
from tests.lab.proxies.envoy import Envoy
from tests.lab.proxies.haproxy import Haproxy, NewHaproxy
from tests.lab.proxies.nginx import NewNginx, Nginx
from tests.lab.proxies.others import Lighttpd, Nghttpx, Squid, Varnish
from tests.lab.proxies.traefik import Traefik


def find_proxies() -> dict[str, Proxy]:
    """Each by its key."""
    proxies: list[Proxy] = [Nginx(), NewNginx(), Haproxy(), NewHaproxy(), Apache(), ModSecurity()]
    proxies += [Caddy(), Traefik(), Envoy(), Lighttpd(), Nghttpx(), Varnish(), Squid()]
    proxies.append(Documented())
    return {proxy.key: proxy for proxy in proxies}
