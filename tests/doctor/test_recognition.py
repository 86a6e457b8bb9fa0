"""Proxies are recognised by what they add, and nothing else."""

from __future__ import annotations

import pytest

from wherry.doctor.recognition import find_refusing, recognise

NGINX = b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"  # noqa: E501
HAPROXY = b"<html><body><h1>413 Payload Too Large</h1>\nThe request entity exceeds the maximum allowed.\n</body></html>\n"  # noqa: E501
APACHE = b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>413 Request Entity Too Large</title>\n</head></html>\n'  # noqa: E501
#: What the documentation of its plugin `client-control` shows.
APISIX = b"<html>\n<head><title>413 Request Entity Too Large</title></head>\n<body>\n<center><h1>413 Request Entity Too Large</h1></center>\n<hr><center>openresty</center>\n</body>\n</html>\n"  # noqa: E501
AZURE = b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"  # noqa: E501
GOOGLE = b"<html><head>\n<title>413 Request Entity Too Large</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: Request Entity Too Large</h1>\n<h2>Your client issued a request that was too large.\n</h2></body></html>\n"  # noqa: E501
KONG = b'{\n  "message":"Request size limit exceeded",\n  "request_id":"6a1b"\n}'
VERCEL = b"Request Entity Too Large\n\nFUNCTION_PAYLOAD_TOO_LARGE\n\nfra1::abcde-1732\n"
CLOUDFRONT = "1.1 ce2b03db99d40501c5695fce9dfbb777.cloudfront.net (CloudFront)"


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
        ({"server": "openresty"}, APISIX, "openresty", None),
        ({"server": "openresty/1.27.1.2"}, b"", "openresty", "1.27.1.2"),
        ({"server": "APISIX/3.11.0"}, APISIX, "apisix", "3.11.0"),
        ({"server": "APISIX"}, b"", "apisix", None),
        # As its `client_max_body_size` refuses, and as its plugin does.
        ({"server": "kong/2.0.0"}, b"Payload too large", "kong", "2.0.0"),
        ({}, KONG, "kong", None),
        ({"server": "Heroku", "via": "1.1 heroku-router"}, b"", "heroku", None),
        ({"via": "2.0 heroku-router"}, b"", "heroku", None),
        ({"via": "1.1 vegur"}, b"", "heroku", None),
        (
            {"server": "Microsoft-Azure-Application-Gateway/v2"},
            AZURE,
            "azure-application-gateway",
            "2",
        ),
        ({}, AZURE, "azure-application-gateway", "2"),
        ({"x-azure-ref": "0Zm9v"}, b"", "azure-front-door", None),
        ({"server": "Google Frontend", "via": "1.1 google"}, GOOGLE, "google", None),
        ({"via": "1.1 google"}, b"", "google", None),
        ({"server": "istio-envoy"}, b"Payload Too Large", "istio", None),
        (
            {"apigw-requestid": "AbCdEfGhIjKlMnO="},
            b'{"message":"Request Entity Too Large"}',
            "aws-api-gateway",
            None,
        ),
        ({"x-amz-apigw-id": "W85cPGkVvHcFa4g="}, b"", "aws-api-gateway", None),
        ({"server": "Vercel", "x-vercel-id": "fra1::abcde"}, VERCEL, "vercel", None),
        ({}, VERCEL, "vercel", None),
        ({"server": "Netlify", "x-nf-request-id": "01HX"}, b"", "netlify", None),
        ({"via": CLOUDFRONT, "x-amz-cf-id": "VGNK0C=="}, b"", "cloudfront", None),
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


@pytest.mark.parametrize(
    ("names", "proxy"),
    [
        (("x-forwarded-for", "x-forwarded-server", "x-real-ip", "x-forwarded-port"), "traefik"),
        (("x-kong-request-id",), "kong"),
        (("x-cloud-trace-context",), "google"),
        (("x-amz-cf-id",), "cloudfront"),
        (("x-appgw-trace-id",), "azure-application-gateway"),
        (("x-azure-fdid",), "azure-front-door"),
        (("x-amzn-trace-id", "x-forwarded-port"), "aws-alb"),
        (("x-envoy-external-address",), "envoy"),
        (("cf-ray", "cf-connecting-ip"), "cloudflare"),
    ],
)
def test_a_proxy_that_adds_headers_to_requests_is_recognised_by_them(
    names: tuple[str, ...], proxy: str
) -> None:
    seen = recognise({"server": "uvicorn"}, arrived=("host", *names))
    assert [(each.name, each.version) for each in seen] == [(proxy, None)]
    assert find_refusing({}, b"<h1>413</h1>", seen) == proxy
    for left_out in names if len(names) < 3 else names[1:]:
        fewer = [name for name in names if name != left_out]
        assert recognise({"server": "uvicorn"}, arrived=fewer) == ()


def test_apisix_is_told_from_openresty_by_its_other_answers_too() -> None:
    usual = recognise({"server": "APISIX/3.11.0"})
    assert find_refusing({"server": "openresty"}, APISIX, usual) == "apisix"
    assert find_refusing({}, APISIX, usual) == "apisix"


def test_the_page_of_an_nginx_behind_apisix_or_kong_is_that_of_nginx() -> None:
    # Both are an OpenResty, and their pages name it.
    for headers in ({"server": "APISIX/3.11.0"}, {"server": "nginx", "via": "1.1 kong/3.9.1"}):
        assert find_refusing(headers, NGINX, recognise(headers, NGINX)) == "nginx"


def test_a_gateway_that_only_passed_the_refusal_on_did_not_write_it() -> None:
    # Kong puts itself into Server where it answers, and into Via where it passes an answer on.
    headers = {"server": "openresty", "via": "1.1 kong/3.9.1"}
    seen = recognise(headers, APISIX)
    assert [proxy.name for proxy in seen] == ["kong", "openresty"]
    assert find_refusing(headers, APISIX, seen) == "openresty"


def test_an_application_behind_no_proxy_is_none() -> None:
    assert recognise({"server": "uvicorn", "via": "1.1 somebody"}, b"<h1>Not found</h1>") == ()
    assert find_refusing({"server": "uvicorn"}, b"<h1>413</h1>", ()) is None
