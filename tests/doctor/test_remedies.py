"""The one source of what to change."""

from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]

from wherry.doctor.pages import filled, render_remedy
from wherry.doctor.recognition import ORDER
from wherry.doctor.remedies import PROXIES, Known, remedies_for


@pytest.mark.parametrize("name", ORDER)
def test_every_proxy_that_can_be_recognised_has_a_remedy(name: str) -> None:
    assert [remedy.proxy for remedy in remedies_for([name])] != ["unknown"]


@pytest.mark.parametrize("known", PROXIES.values(), ids=list(PROXIES))
def test_every_snippet_is_filled_and_every_yaml_can_be_read(known: Known) -> None:
    for snippet in known.remedy.snippets:
        assert not {"{m}", "{s}", "{bytes}"} & set(snippet.code.split())
        assert "{m}" not in snippet.code
        if snippet.language == "yaml":
            assert all(isinstance(each, dict) for each in yaml.safe_load_all(snippet.code))
        assert snippet.code in render_remedy(known.remedy)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("azure-application-gateway", "--request-body-enforcement false"),
        ("azure-application-gateway", "--max-request-body-size-in-kb 2000"),
        (
            "google",
            "gcloud compute backend-services update BACKEND_SERVICE --global --timeout=600s",
        ),
        ("google", "timeoutSec: 600"),
        ("envoy-gateway", "maxRequestBytes: 629145600"),
        ("envoy", "max_request_bytes: 629145600"),
        ("envoy", "disabled: true"),
        ("envoy", "timeout: 600s"),
        ("istio", "max_request_bytes: 629145600"),
        ("istio", "- timeout: 600s"),
        ("apisix", '{"plugins": {"client-control": {"max_body_size": 0}}}'),
    ],
)
def test_the_exact_change_is_printed(name: str, line: str) -> None:
    assert line in "\n".join(_codes(name))


def _codes(name: str) -> list[str]:
    return [snippet.code for remedy in remedies_for([name]) for snippet in remedy.snippets]


def test_an_envoy_gets_its_own_lines_first_and_istio_none_of_envoy_gateway() -> None:
    assert [remedy.proxy for remedy in remedies_for(["envoy"])] == ["envoy", "envoy-gateway"]
    assert not any("gateway.envoyproxy.io" in code for code in _codes("istio"))


@pytest.mark.parametrize("name", ["nginx-gateway-fabric", "envoy-gateway"])
def test_implementations_of_the_gateway_api_say_that_it_has_no_field_for_the_size(
    name: str,
) -> None:
    text = " ".join(PROXIES[name].remedy.text.split())
    assert "Gateway API itself has no field" in text


def test_a_name_that_is_not_known_gets_advice_how_to_find_out() -> None:
    [remedy] = remedies_for(["someproxy"])
    assert remedy.proxy == "unknown"
    assert "one hop after the other" in remedy.text


def test_a_page_without_its_marks_is_not_changed_in_silence() -> None:
    with pytest.raises(ValueError, match="no marks for limits"):
        filled("# A page\n", {"limits": "new"})
