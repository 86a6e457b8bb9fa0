"""Which proxies lie on a path, by what they add: pure functions.

A proxy shows itself in three places: in the headers of answers, in the pages that it writes itself,
and in the headers that it adds to requests, of which the probe answers the names.

Rule 1: only marks that the product is known to set, and that others do not, count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proxy:
    """`evidence`: what it was recognised by, as `Server: nginx/1.22.1`."""

    name: str
    version: str | None = None
    evidence: tuple[str, ...] = ()


#: Of answers: proxy, header, what its value is; a group is the version.
_ANSWER_HEADERS = (
    ("cloudflare", "server", r"cloudflare"),
    ("cloudflare", "cf-ray", r""),
    ("cloudfront", "x-amz-cf-id", r""),
    ("cloudfront", "via", r".*\(CloudFront\)"),
    ("azure-front-door", "x-azure-ref", r""),
    ("vercel", "server", r"Vercel"),
    ("vercel", "x-vercel-id", r""),
    ("netlify", "x-nf-request-id", r""),
    ("netlify", "server", r"Netlify"),
    ("heroku", "via", r".*\b(?:heroku-router|vegur)\b"),
    ("heroku", "server", r"Heroku"),
    ("aws-alb", "server", r"awselb(?:/(\S+))?"),
    ("aws-api-gateway", "apigw-requestid", r""),
    ("aws-api-gateway", "x-amz-apigw-id", r""),
    ("azure-application-gateway", "server", r"Microsoft-Azure-Application-Gateway(?:/v?(\S+))?"),
    ("google", "server", r"Google Frontend"),
    ("google", "via", r"1\.1 google"),
    ("iis", "server", r"Microsoft-IIS(?:/(\S+))?"),
    ("istio", "server", r"istio-envoy"),
    ("envoy", "server", r"envoy"),
    ("kong", "server", r"kong(?:/(\S+))?"),
    ("kong", "via", r".*\bkong(?:/(\S+))?"),
    ("apisix", "server", r"APISIX(?:/(\S+))?"),
    ("openresty", "server", r"openresty(?:/(\S+))?"),
    ("nginx", "server", r"nginx(?:/(\S+))?"),
    ("apache", "server", r"Apache(?:/(\S+))?"),
    ("caddy", "server", r"Caddy"),
    ("caddy", "via", r".*\bCaddy\b"),
)

#: Of pages that a proxy writes itself.
_PAGES = (
    ("cloudflare", r"<center>cloudflare(?:-nginx)?</center>"),
    (
        "azure-application-gateway",
        r"<center>Microsoft-Azure-Application-Gateway(?:/v?(\S+?))?</center>",
    ),
    ("openresty", r"<center>openresty(?:/(\S+?))?</center>"),
    ("nginx", r"<center>nginx(?:/(\S+?))?</center>"),
    ("vercel", r"FUNCTION_PAYLOAD_TOO_LARGE"),
    ("iis", r"\b404\.13\b"),
    ("kong", r'"message":\s*"Request size limit exceeded"'),
    ("haproxy", r"<h1>\d{3} [^<]*</h1>\n[^<]*\n</body></html>"),
    (
        "apache",
        r'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2\.0//EN">\s*<html><head>\s*<title>\d{3} ',
    ),
)

#: Of requests, as they arrive: all of these names.
_REQUEST_HEADERS = (
    ("cloudflare", ("cf-ray", "cf-connecting-ip")),
    ("cloudfront", ("x-amz-cf-id",)),
    ("azure-front-door", ("x-azure-fdid",)),
    ("aws-alb", ("x-amzn-trace-id", "x-forwarded-port")),
    ("azure-application-gateway", ("x-appgw-trace-id",)),
    ("google", ("x-cloud-trace-context",)),
    ("ingress-nginx", ("x-forwarded-scheme", "x-scheme")),
    ("envoy", ("x-envoy-expected-rq-timeout-ms",)),
    ("envoy", ("x-envoy-external-address",)),
    ("kong", ("x-kong-request-id",)),
    ("traefik", ("x-forwarded-server", "x-real-ip", "x-forwarded-port")),
)

#: What a proxy is built on. Its refusals are pages of that, and name only that.
_BUILT_ON = {"ingress-nginx": "nginx", "apisix": "openresty", "kong": "openresty"}

#: From the outside inwards, as far as that can be known: a CDN stands before a load balancer, and
#: that before a proxy.
ORDER = tuple(dict.fromkeys(name for name, *_ in (*_ANSWER_HEADERS, *_PAGES, *_REQUEST_HEADERS)))


def recognise(
    headers: Mapping[str, str], page: bytes = b"", arrived: Collection[str] = ()
) -> tuple[Proxy, ...]:
    """All proxies that show themselves, from the outside inwards.

    `headers`: of an answer, by lower-case name. `page`: its body, if it is not from Wherry.
    `arrived`: the names of the headers with which the request arrived behind them.
    """
    found: list[Proxy] = []
    for name, header, pattern in _ANSWER_HEADERS:
        if header in headers and (match := re.match(pattern, headers[header], re.IGNORECASE)):
            mark = f"{header.title()}: {headers[header]}"
            found.append(Proxy(name, _version(match), (mark,)))
    text = page.decode("utf-8", "replace")
    for name, pattern in _PAGES:
        if match := re.search(pattern, text):
            found.append(Proxy(name, _version(match), (f"the page of the refusal is {name}'s",)))
    for name, names in _REQUEST_HEADERS:
        if all(each in arrived for each in names):
            marks = tuple(f"requests arrive with {each.title()}" for each in names)
            found.append(Proxy(name, None, marks))
    if not found and text == "Request Entity Too Large":
        found.append(Proxy("traefik", None, ("a bare text, as of Traefik's Buffering middleware",)))
    seen = _answering(found, headers)
    return _merged(_as_product(proxy, seen) for proxy in found)


def find_refusing(headers: Mapping[str, str], page: bytes, seen: Iterable[Proxy]) -> str | None:
    """The name of the proxy that wrote this refusal; None if it cannot be told.

    Its page counts before its headers, because an outer proxy puts its own headers on the page of
    an inner one. `seen`: the proxies that are known to be there.
    """
    server = recognise({"server": headers.get("server", "")})
    known = _answering((*seen, *server), headers)
    for found in (recognise({}, page), server):
        if found:
            return _as_product(found[-1], known).name
    others = [proxy.name for proxy in seen]
    return others[0] if len(others) == 1 else None


def _answering(seen: Iterable[Proxy], headers: Mapping[str, str]) -> set[str]:
    """The names of these proxies that may have written the answer with these headers.

    One that put its name into Via has passed the answer on.
    """
    passed_on = {
        name
        for name, header, pattern in _ANSWER_HEADERS
        if header == "via" and re.match(pattern, headers.get("via", ""), re.IGNORECASE)
    }
    return {proxy.name for proxy in seen} - passed_on


def _as_product(proxy: Proxy, seen: Collection[str]) -> Proxy:
    """What is known to be built on this proxy, if that was seen; its version stays unknown."""
    for product, base in _BUILT_ON.items():
        if proxy.name == base and product in seen:
            return Proxy(product, None, proxy.evidence)
    return proxy


def _version(match: re.Match[str]) -> str | None:
    return match[1] if match.re.groups else None


def _merged(found: Iterable[Proxy]) -> tuple[Proxy, ...]:
    merged: dict[str, Proxy] = {}
    for proxy in found:
        known = merged.get(proxy.name, Proxy(proxy.name))
        evidence = tuple(dict.fromkeys((*known.evidence, *proxy.evidence)))
        merged[proxy.name] = Proxy(proxy.name, known.version or proxy.version, evidence)
    return tuple(sorted(merged.values(), key=lambda proxy: ORDER.index(proxy.name)))


def merge(*several: Iterable[Proxy]) -> tuple[Proxy, ...]:
    """The proxies of several answers."""
    return _merged(proxy for each in several for proxy in each)
