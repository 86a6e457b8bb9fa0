"""No setting holds a number that the server cannot live with."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.server.conftest import server

from wherry.core.limits import GiB, Rate
from wherry.settings import Seconds, Settings


def of_type(wanted: object) -> list[str]:
    hints = typing.get_type_hints(Settings, include_extras=True)
    names = [n for n in Settings.model_fields if wanted in (hints[n], *typing.get_args(hints[n]))]
    assert names
    return names


SECONDS = of_type(Seconds)
NUMBERS = [
    name
    for name, field in Settings.model_fields.items()
    if re.search("int|float", str(field.annotation)) and "bool" not in str(field.annotation)
]


def test_every_number_of_seconds_is_looked_at() -> None:
    floats = {n for n in NUMBERS if "float" in str(Settings.model_fields[n].annotation)}
    assert floats == set(SECONDS)
    assert {"expires_after", "turn", "chunk_timeout", "keep_files"} <= floats


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(
    "value", ["inf", "-inf", "nan", "1e300", "1e12", "0", "-1", "1e-12", float("inf")]
)
def test_seconds_are_finite_and_a_date_can_be_made_of_them(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [1 << 63, 1 << 200, "9" * 30])
def test_numbers_have_room_in_the_catalog(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


@pytest.mark.anyio
async def test_the_longest_times_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = dict.fromkeys(SECONDS, 100 * 365 * 24 * 3600.0)

    def with_longest(**given: object) -> Settings:
        return Settings.model_validate(longest | given)

    monkeypatch.setattr("tests.server.conftest.Settings", with_longest)
    async with server(tmp_path) as client:
        wanted = {"filename": "a.mp4", "size": 4}
        answer = await client.post("/api/chunked-upload/init", json=wanted)
        assert answer.status_code == 201
        assert answer.json()["expires_at"] > "2120"
        assert (await client.get("/readyz")).status_code == 200
        headers = {"Content-Disposition": "attachment; filename=a"}
        whole = await client.post("/api/upload", content=b"0123", headers=headers)
        assert whole.status_code == 200


def test_a_rate_is_read_from_text_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERRY_RATE_BYTES", "10GiB/day")
    monkeypatch.setenv("WHERRY_RATE_REQUESTS", "none")
    settings = Settings.model_validate({"rate_uploads": "60/hour"})
    assert settings.rate_uploads == Rate(60, "hour")
    assert settings.rate_bytes == Rate(10 * GiB, "day")
    assert settings.rate_requests is None


@pytest.mark.parametrize("name", ["rate_uploads", "rate_bytes", "rate_requests"])
@pytest.mark.parametrize("value", ["60", "0/hour", "60/fortnight", f"{1 << 70}/day"])
def test_what_is_no_rate_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})
