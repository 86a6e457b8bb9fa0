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


def test_a_name_that_is_not_known_gets_advice_how_to_find_out() -> None:
    [remedy] = remedies_for(["someproxy"])
    assert remedy.proxy == "unknown"
    assert "one hop after the other" in remedy.text


def test_a_page_without_its_marks_is_not_changed_in_silence() -> None:
    with pytest.raises(ValueError, match="no marks for limits"):
        filled("# A page\n", {"limits": "new"})
