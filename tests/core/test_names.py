"""Names and other texts: kept as they are, or refused with the reason."""

from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.errors import BadRequest
from wherry.core.names import as_unicode, check_filename, check_metadata
from wherry.core.requests import Create


@given(
    st.text()
    | st.text("a./\\\x00\n\x7f\x85é\ud800", max_size=6)
    | st.text("aé中🎬", min_size=100, max_size=260)
)
def test_any_text_is_a_bare_name_or_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        name = check_filename(text)
        assert name == as_unicode(text) == PurePosixPath("/folder", name).name
        assert "\\" not in name
        assert 0 < len(name.encode("utf-16-le")) <= 510
        assert not any(c < " " or "\x7f" <= c < "\xa0" for c in name)


@given(st.text())
def test_every_text_is_read_as_unicode_and_then_stays_as_it_is(text: str) -> None:
    read = as_unicode(text)
    assert as_unicode(read.encode().decode()) == read
    if text.isascii():
        assert read == text


@pytest.mark.parametrize(
    "name",
    [
        "film.mp4",
        "a b.mov",
        "..hidden",
        "…",
        "фильм.mp4",
        "a" * 255,
        "会" * 251 + ".mp4",
        "🎬" * 127,
        "-rf",
        "~",
    ],
)
def test_ordinary_names_pass(name: str) -> None:
    assert check_filename(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("caf\udce9.mp4", "caf\ufffd.mp4"),
        ("\ud83c\udfac.mp4", "🎬.mp4"),
        ("\udfac\ud83c.mp4", "\ufffd\ufffd.mp4"),
    ],
    ids=["a byte of another encoding", "both halves of a pair", "two halves that are no pair"],
)
def test_what_is_no_character_is_replaced(text: str, name: str) -> None:
    assert check_filename(text) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "bare name"),
        (".", "bare name"),
        ("..", "bare name"),
        ("/etc/passwd", "bare name"),
        ("a/b", "bare name"),
        ("..\\a", "bare name"),
        ("a\x00.mp4", "control"),
        ("a\r\nb", "control"),
        ("a\x7f", "control"),
        ("a\x9f", "control"),
        ("a" * 256, "255 characters"),
        ("会" * 256, "255 characters"),
        ("🎬" * 128, "255 characters"),
        ("x" * 10_000, "255 characters"),
    ],
)
def test_names_that_could_do_harm_are_refused_with_the_reason(name: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        check_filename(name)


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u2028", "\u2029", "\x85"])
def test_a_name_that_shows_as_another_is_refused(character: str) -> None:
    with pytest.raises(BadRequest):
        check_filename(f"holiday{character}gpj.exe")


def test_what_describes_a_file_has_an_end() -> None:
    assert check_metadata({"a": "x" * 1024, "b\ud800": "c"}) == {"a": "x" * 1024, "b\ufffd": "c"}
    for wrong in ({"a": "x" * 1025}, {"x" * 1025: "a"}, {str(n): "" for n in range(65)}):
        with pytest.raises(BadRequest, match="metadata"):
            check_metadata(wrong)


@pytest.mark.parametrize("field", ["content_type", "fingerprint"])
def test_every_text_of_a_new_upload_is_looked_at(field: str) -> None:
    kept = replace(Create("a", 1), **{field: "\ud800"}).checked()  # type: ignore[arg-type]
    assert getattr(kept, field) == "\ufffd"
    with pytest.raises(BadRequest, match=field):
        replace(Create("a", 1), **{field: "x" * 1025}).checked()  # type: ignore[arg-type]
