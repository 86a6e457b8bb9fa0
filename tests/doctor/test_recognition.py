"""Proxies are recognised by what they add, and nothing else."""

from __future__ import annotations

import pytest

from wherry.doctor.recognition import find_refusing, recognise

NGINX = b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"  # noqa: E501
HAPROXY = b"<html><body><h1>413 Payload Too Large</h1>\nThe request entity exceeds the maximum allowed.\n</body></html>\n"  # noqa: E501
APACHE = b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>413 Request Entity Too Large</title>\n</head></html>\n'  # noqa: E501


@pytest.mark.parametrize(
    ("headers", "page", "name", "version"),
    [
        ({"server": "nginx/1.22.1"}, NGINX, "nginx", "1.22.1"),
        ({}, NGINX, "nginx", "1.22.1"),
        ({"server": "nginx"}, b"", "nginx", None),
        ({}, HAPROXY, "haproxy", None),
        ({"server": "Apache/2.4.71 (Debian)"}, APACHE, "apache", "2.4.71"),
        ({"server": "cloudflare", "cf-ray": "8f-FRA"}, b"", "cloudflare", None),
        ({"server": "awselb/2.0"}, b"", "aws-alb", "2.0"),
        ({"server": "envoy"}, b"Payload Too Large", "envoy", None),
        ({"server": "kong/3.9.0"}, b'{"message":"Request size limit exceeded"}', "kong", "3.9.0"),
        ({"server": "Microsoft-IIS/10.0"}, b"HTTP Error 404.13", "iis", "10.0"),
        ({"server": "Caddy"}, b"", "caddy", None),
        ({}, b"Request Entity Too Large", "traefik", None),
    ],
)
def test_who_refuses(headers: dict[str, str], page: bytes, name: str, version: str | None) -> None:
    seen = recognise(headers, page)
    assert [(proxy.name, proxy.version) for proxy in seen] == [(name, version)]
    assert all(proxy.evidence for proxy in seen)
    assert find_refusing(headers, page, seen) == name


def test_the_page_of_an_inner_proxy_counts_before_the_headers_of_an_outer_one() -> None:
    headers = {"server": "cloudflare", "cf-ray": "8f-FRA"}
    seen = recognise(headers, NGINX)
    assert [proxy.name for proxy in seen] == ["cloudflare", "nginx"]
    assert find_refusing(headers, NGINX, seen) == "nginx"


def test_ingress_nginx_is_told_from_nginx_by_the_headers_that_it_adds() -> None:
    arrived = ("host", "x-forwarded-scheme", "x-scheme", "x-real-ip")
    seen = recognise({"server": "nginx/1.25"}, NGINX, arrived)
    assert [proxy.name for proxy in seen] == ["ingress-nginx"]
    assert find_refusing({"server": "nginx/1.25"}, NGINX, seen) == "ingress-nginx"


def test_an_application_behind_no_proxy_is_none() -> None:
    assert recognise({"server": "uvicorn", "via": "1.1 somebody"}, b"<h1>Not found</h1>") == ()
    assert find_refusing({"server": "uvicorn"}, b"<h1>413</h1>", ()) is None
