"""The settings of webhooks: checked at the start, and secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.webhooks.receiver import SECRET

from wherry.app import App, worker_environment
from wherry.settings import Settings

ONE, OTHER = "https://one.example/hook", "http://other.example:8080/hook?a=b"


def made(**given: Any) -> Settings:
    return Settings(**given)


def test_several_urls_and_secrets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERRY_WEBHOOK_URL", f"{ONE}, {OTHER},{ONE}")
    monkeypatch.setenv("WHERRY_WEBHOOK_SECRET", f"{SECRET},{SECRET}")
    settings = made()
    assert settings.webhook_url == (ONE, OTHER)
    assert settings.webhook_secret == (SECRET,)


def test_there_are_none_by_default_and_in_words() -> None:
    assert made().webhook_url == made(webhook_url="none").webhook_url == ()


@pytest.mark.parametrize(
    "url",
    [
        *("one.example", "ftp://one.example", "https://", "https://a:b@one.example", "/hook"),
        *("https://one.example/#part", "https://one.example:port/", "https://one.example/a b"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        made(webhook_url=url)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", SECRET[6:], "whsec_" + "*" * 40])
def test_a_secret_that_signs_nothing_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(webhook_secret=secret)
    assert len(secret) < 10 or secret not in str(refused.value)


def test_the_secret_is_in_no_text_of_the_settings() -> None:
    settings = made(webhook_url=ONE, webhook_secret=SECRET)
    assert SECRET not in f"{settings!r} {settings}"
    assert "one.example" not in f"{settings!r} {settings}"


def test_webhooks_without_a_secret_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="WHERRY_WEBHOOK_SECRET"):
        App(made(data=tmp_path, webhook_url=ONE))
    App(made(data=tmp_path, webhook_url=ONE, webhook_secret=SECRET))


def test_the_worker_knows_the_urls_and_not_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHERRY_WEBHOOK_SECRET", "wherry_webhook_secret"):
        monkeypatch.setenv(name, SECRET)
    environment = worker_environment(made(webhook_url=(ONE, OTHER), webhook_secret=SECRET))
    assert environment["WHERRY_WEBHOOK_URL"] == f"{ONE},{OTHER}"
    assert SECRET not in environment.values()
    assert SECRET in os.environ.values()
