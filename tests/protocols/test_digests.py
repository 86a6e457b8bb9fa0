"""Digests as clients send them."""

import base64
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.digests import LENGTHS, Digest, crc64
from wherry.core.errors import BadRequest
from wherry.protocols.digests import parse_digest, parse_file_digest

CHECK = b"123456789"

digests = st.sampled_from(sorted(LENGTHS)).flatmap(
    lambda name: st.binary(min_size=LENGTHS[name], max_size=LENGTHS[name]).map(
        lambda value: Digest(name, value)
    )
)


@given(digests)
def test_a_digest_that_is_rendered_is_parsed_as_the_same(digest: Digest) -> None:
    assert parse_digest(str(digest), "Content-Digest") == digest


@given(
    st.text()
    | st.text("abcsh0123456789-=:, *_.\t\n", max_size=40)
    | st.from_regex(r"(sha-256|crc32c|crc64nvme|md5)=:[A-Za-z0-9+/=]{0,12}:(, ?)?", fullmatch=True)
)
def test_any_text_gives_a_digest_or_none_or_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        digest = parse_digest(text, "Content-Digest")
        assert digest is None or len(digest.value) == LENGTHS[digest.algorithm]
    with suppress(BadRequest):
        assert parse_file_digest(text).algorithm == "crc64nvme"


@given(st.lists(digests, min_size=1, max_size=5))
def test_of_several_digests_the_strongest_is_taken_and_of_equals_the_last(
    several: list[Digest],
) -> None:
    found = parse_digest(", ".join(map(str, several)), "Content-Digest")
    strongest = max(LENGTHS[digest.algorithm] for digest in several)
    assert found == [d for d in several if LENGTHS[d.algorithm] == strongest][-1]


def test_unknown_algorithms_are_passed_over() -> None:
    known = Digest.of_crc(crc64(CHECK))
    assert parse_digest("md5=:AAAA:, unixsum=:AA==:", "Content-Digest") is None
    assert parse_digest(f"md5=:AAAA:, {known}", "Content-Digest") == known


@pytest.mark.section("RFC 9530 appendix B.1")
def test_the_example_of_the_specification_is_understood() -> None:
    text = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    expected = hashlib.sha256(b'{"hello": "world"}\n').digest()
    assert parse_digest(text, "Content-Digest") == Digest("sha-256", expected)


@pytest.mark.parametrize("algorithm", sorted(LENGTHS))
def test_a_value_of_the_wrong_length_is_refused(algorithm: str) -> None:
    for length in (0, LENGTHS[algorithm] - 1, LENGTHS[algorithm] + 1):
        value = base64.b64encode(bytes(length)).decode()
        with pytest.raises(BadRequest, match=f"has {LENGTHS[algorithm]} bytes"):
            parse_digest(f"{algorithm}=:{value}:", "Content-Digest")


@pytest.mark.parametrize(
    "text",
    ["", ",", "sha-256", "sha-256=", "sha-256=:", "SHA-256=:AAAA:", "crc32c=AAAAAA==",
     "crc32c=:AA=AAA==:", "crc32c=1", "crc32c=(:AAAAAA==:)", "crc32c=:AAAAAA==:,",
     "crc32c=:AAA AAA==:"],
)  # fmt: skip
def test_a_malformed_field_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_digest(text, "Content-Digest")
    assert caught.value.field == "Content-Digest"


@pytest.mark.section("RFC 9651 section 4.2.7")
def test_base64_needs_no_padding() -> None:
    assert parse_digest("crc32c=:AAAAAA:", "Content-Digest") == Digest("crc32c", bytes(4))


def test_a_digest_may_have_parameters_which_mean_nothing_here() -> None:
    assert parse_digest("crc32c=:AAAAAA==:;a=1", "digest") == Digest("crc32c", bytes(4))


def test_a_whole_file_is_checked_by_its_crc_and_by_nothing_else() -> None:
    crc = Digest.of_crc(crc64(CHECK))
    assert parse_file_digest(str(crc)) == crc
    for other in ("sha-256", "sha-512", "crc32c"):
        with pytest.raises(BadRequest, match="crc64nvme=:base64:"):
            parse_file_digest(str(Digest(other, bytes(LENGTHS[other]))))


def test_a_whole_files_crc_is_found_among_other_digests() -> None:
    crc = Digest.of_crc(7)
    other = Digest("sha-256", bytes(32))
    assert parse_file_digest(f"{other}, {crc}") == crc
