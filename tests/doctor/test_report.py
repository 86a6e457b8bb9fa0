"""What the text and the letter tell to change, compared with what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.doctor.test_diagnosis import NGINX, WIDE, MiB

from wherry.doctor.diagnosis import diagnose
from wherry.doctor.measured import Limit, Measured, Refusal, Timers
from wherry.doctor.recognition import Proxy
from wherry.doctor.report import render_letter, render_text

APPLIED = replace(
    NGINX,
    limit=Limit(
        600 * MiB,
        600 * MiB + 1,
        True,
        "announced",
        8 * MiB,
        Refusal(413, "page", True, "nginx"),
        5 << 30,
    ),
)


def text_of(measured: Measured) -> str:
    return render_text(measured, diagnose(measured))


def letter_of(measured: Measured) -> str:
    return render_letter(measured, diagnose(measured))


def test_where_the_lines_were_applied_nothing_is_left_to_change() -> None:
    text, letter = text_of(APPLIED), letter_of(APPLIED)
    for shown in (text, letter):
        assert "Nothing, for Wherry's uploads. Bodies of 600 MiB already pass." in shown
        assert "client_max_body_size" not in shown
        assert "Refuses above" not in shown
    assert letter.startswith("# No ingress fix required: ")
    assert "should let it pass" not in letter
    assert "truncate" not in letter


def test_a_path_without_a_limit_is_told_what_passes() -> None:
    assert "Nothing, for Wherry's uploads. Bodies of 8 MiB already pass." in text_of(WIDE)


@pytest.mark.parametrize("is_wherry", [True, False])
def test_of_another_address_it_is_not_said_that_nothing_has_to_be_changed(is_wherry: bool) -> None:
    another = replace(APPLIED, is_wherry=is_wherry, is_authorised=None, status=404)
    assert "What to change" not in text_of(another)
    letter = letter_of(another)
    assert letter.startswith("# Ingress: what was measured")
    assert "What to change" not in letter


def test_a_narrow_path_is_told_which_line_is_needed_and_what_the_marks_are() -> None:
    for shown in (text_of(NGINX), letter_of(NGINX)):
        assert "The limit of the size alone ends these refusals." in shown
        assert "Lines marked ¹ are about time and buffering." in shown
        assert "already pass" not in shown
    assert "truncate -s 1048577" in letter_of(NGINX)


def test_where_only_time_is_a_problem_the_size_is_said_to_pass() -> None:
    slow = replace(WIDE, proxies=NGINX.proxies, timers=Timers(idle=5.0, watched=24.0))
    for shown in (text_of(slow), letter_of(slow)):
        assert "Bodies of 8 MiB already pass. The limit of the size need not be changed." in shown
        assert "ends these refusals" not in shown
    assert letter_of(slow).startswith("# Ingress fix required: ")


def test_lines_for_kubernetes_are_said_to_be_only_for_that() -> None:
    text = text_of(NGINX)
    told = text.index("**Only if it runs in Kubernetes**")
    assert text.index("## nginx\n") < told < text.index("## F5 NGINX Ingress Controller")
    assert text.count("Only if it runs in Kubernetes") == 1
    assert "It is not ingress-nginx" in text
    unknown = text_of(replace(NGINX, is_authorised=False))
    assert "With a key, the doctor finds out whether that is ingress-nginx." in unknown


@pytest.mark.parametrize("name", ["ingress-nginx", "haproxy"])
def test_where_there_is_no_choice_kubernetes_is_not_mentioned_as_one(name: str) -> None:
    refusal = Refusal(413, "page", True, name)
    limit = replace(NGINX.limit, refusal=refusal)
    measured = replace(NGINX, limit=limit, proxies=(Proxy(name),))
    assert "Only if it runs in Kubernetes" not in text_of(measured)
