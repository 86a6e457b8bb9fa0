"""Stands in for proxies that cannot be installed: their limits and pages, as far as documented.

Rule 1: nothing here is measured. Of each product, it has the limit, the status, the headers and
the words that its vendor documents, in a page of our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup

from wherry.testing.peer import Peer
from wherry.testing.proxy import Fault, LimitingProxy


@dataclass(frozen=True)
class Refusal:
    """The answer to a body above the limit."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def response(self) -> h11.Response:
        fixed = [("content-length", str(len(self.body))), ("connection", "close")]
        return h11.Response(status_code=self.status, headers=[*self.headers, *fixed])


def _page(status: int, server: str, words: str, **headers: str) -> Refusal:
    named = (("server", server), ("content-type", "text/html"))
    more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Refusal(status, named + more, f"<html><body><h1>{words}</h1></body></html>")


IIS = _page(
    404, "Microsoft-IIS/10.0", "HTTP Error 404.13 - Not Found</h1><p>request content length</p><h1>"
)
#: What IIS shows to other machines by default: without the number.
PLAIN_IIS = _page(404, "Microsoft-IIS/10.0", "404 - File or directory not found.")
AZURE = _page(403, "Microsoft-Azure-Application-Gateway/v2", "403 Forbidden")
CLOUDFLARE = _page(413, "cloudflare", "413 Request Entity Too Large", cf_ray="0123456789abcdef-FRA")
LOAD_BALANCER = _page(413, "awselb/2.0", "413 Request Entity Too Large")
FILTER = _page(406, "Apache", "Not Acceptable!</h1><p>blocked by a security rule</p><h1>")
GATEWAY = Refusal(
    413,
    (("apigw-requestid", "AbCdEfGhIjKlMnO="), ("content-type", "application/json")),
    '{"message":"Request Entity Too Large"}',
)
#: The plugin `request-size-limiting`, and `client_max_body_size`.
KONG = Refusal(
    413,
    (("server", "kong/3.9.1"), ("content-type", "application/json; charset=utf-8")),
    '{"message":"Request size limit exceeded"}',
)
KONG_ITSELF = Refusal(
    413,
    (("server", "kong/3.9.1"), ("content-type", "text/plain; charset=utf-8")),
    "Payload too large",
)
#: It is an OpenResty, whose page it shows.
APISIX = Refusal(
    413,
    (("server", "APISIX/3.11.0"), ("content-type", "text/html; charset=utf-8")),
    "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    "<center><h1>413 Request Entity Too Large</h1></center>\r\n"
    "<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n",
)
FUNCTION = Refusal(
    413,
    (("server", "Vercel"), ("content-type", "text/plain")),
    "Request Entity Too Large\n\nFUNCTION_PAYLOAD_TOO_LARGE\n",
)

#: By the name of a setup.
REFUSALS = {
    "IIS, lowered to 1 MiB": IIS,
    "IIS, lowered to 1 MiB, seen from another machine": PLAIN_IIS,
    "IIS": IIS,
    "Azure Application Gateway with WAF": AZURE,
    "AWS API Gateway": GATEWAY,
    "AWS load balancer in front of a Lambda function": LOAD_BALANCER,
    "Cloudflare": CLOUDFLARE,
    "Vercel": FUNCTION,
    "Kong, request-size-limiting 1 MB": KONG,
    "Kong, client_max_body_size 1m": KONG_ITSELF,
    "APISIX, client-control 1 MiB": APISIX,
    "filter with a 406 page": FILTER,
}
#: By the name of a setup: what answers have that are passed on.
ADDED = {"Heroku": (("via", "1.1 heroku-router"),)}
SETUPS: Sequence[Setup] = (
    Setup("IIS", limit=30_000_000, who="iis"),
    Setup("IIS, lowered to 1 MiB", limit=MiB, who="iis"),
    Setup("IIS, lowered to 1 MiB, seen from another machine", limit=MiB, who="iis"),
    Setup("Azure Application Gateway with WAF", limit=128 * KiB, who="azure-application-gateway"),
    Setup("AWS API Gateway", limit=10_000_000, who="aws-api-gateway"),
    Setup("AWS load balancer in front of a Lambda function", limit=750_000, who="aws-alb"),
    Setup("Cloudflare", limit=100_000_000, who="cloudflare"),
    Setup("Vercel", limit=4_500_000, who="vercel"),
    Setup("Kong, request-size-limiting 1 MB", limit=MiB, who="kong"),
    Setup("Kong, client_max_body_size 1m", limit=MiB, who="kong"),
    Setup("APISIX, client-control 1 MiB", limit=MiB, who="apisix"),
    Setup("Heroku", who="heroku"),
    Setup("filter with a 406 page", limit=128 * KiB, who="apache"),
    Setup("reset after 200 KiB of a larger body", limit=200 * KiB, is_marked=False),
)


class Documented(Proxy):
    key = "documented"
    title = "As documented"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        return "(not the products themselves)"

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        raise NotImplementedError("it runs in this process")

    @contextmanager
    def serve(self, folder: Path, cache: Path, setup: Setup, upstream: int) -> Iterator[Front]:
        refusal = REFUSALS.get(setup.name)
        faults: list[Fault] = []
        if refusal is None and setup.limit is not None:
            faults.append(Fault(over=setup.limit, reset_at=setup.limit))
        proxy = StandIn("127.0.0.1", upstream, setup.limit if refusal else None, faults)
        proxy.refusal = refusal or FILTER
        proxy.added = ADDED.get(setup.name, ())
        with proxy.run_in_thread():
            yield Front(folder, proxy.port, upstream, setup)


class StandIn(LimitingProxy):
    """Refuses with a page of its own, and adds headers to answers that it passes on."""

    refusal: Refusal
    added: Sequence[tuple[str, str]] = ()

    async def _refuse(self, client: Peer) -> None:
        self.refused += 1
        await client.send(self.refusal.response())
        await client.send(h11.Data(data=self.refusal.body.encode()))
        await client.send(h11.EndOfMessage())

    def _passed_on(self, event: Any) -> Any:
        answer = super()._passed_on(event)
        if self.added and isinstance(answer, h11.Response):
            added = [(name.encode(), value.encode()) for name, value in self.added]
            headers = [*answer.headers.raw_items(), *added]
            return h11.Response(status_code=answer.status_code, headers=headers)
        return answer
