"""Digests are combined from those of parts, and read from what clients send."""

import base64
import hashlib
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.digests import (
    EMPTY_CRC,
    LENGTHS,
    Digest,
    combine,
    crc64,
    parse_digest,
    parse_file_digest,
    running,
)
from wherry.core.errors import BadRequest

CHECK = b"123456789"  # the input of every catalogue of CRCs
VECTORS = {
    "crc64nvme": "ae8b14860a799888",
    "crc32c": "e3069283",
    "sha-256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "sha-512": (
        "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
        "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"
    ),
}

crcs = st.integers(0, (1 << 64) - 1)
lengths = st.integers(1, 1 << 60)
digests = st.sampled_from(sorted(LENGTHS)).flatmap(
    lambda name: st.binary(min_size=LENGTHS[name], max_size=LENGTHS[name]).map(
        lambda value: Digest(name, value)
    )
)


@st.composite
def splits(draw: st.DrawFn) -> list[bytes]:
    """Bytes cut into any number of pieces, empty ones too."""
    data = draw(st.binary(max_size=64))
    cuts = sorted([0, *draw(st.lists(st.integers(0, len(data)), max_size=6)), len(data)])
    return [data[start:end] for start, end in pairwise(cuts)]


@pytest.mark.parametrize("algorithm", sorted(LENGTHS))
def test_a_known_text_has_its_known_digest(algorithm: str) -> None:
    digest = running(algorithm)
    digest.update(memoryview(CHECK))
    assert digest.digest().hex() == VECTORS[algorithm]


def test_the_crc_of_bytes_is_a_catalogues() -> None:
    assert crc64(CHECK) == 0xAE8B14860A799888
    assert crc64(memoryview(bytearray(CHECK))) == 0xAE8B14860A799888
    assert crc64(b"") == EMPTY_CRC


@given(st.sampled_from(sorted(LENGTHS)), splits())
def test_a_running_digest_does_not_depend_on_where_bytes_are_cut(
    algorithm: str, pieces: list[bytes]
) -> None:
    one, many = running(algorithm), running(algorithm)
    one.update(memoryview(b"".join(pieces)))
    for piece in pieces:
        many.update(memoryview(piece))
    assert many.digest() == one.digest()
    assert len(many.digest()) == LENGTHS[algorithm]


@given(splits())
def test_the_digests_of_any_pieces_combine_to_that_of_the_whole(pieces: list[bytes]) -> None:
    combined = EMPTY_CRC
    for piece in pieces:
        combined = combine(combined, crc64(piece), len(piece))
    assert combined == crc64(b"".join(pieces))


@given(splits())
def test_a_digest_goes_on_where_another_ended(pieces: list[bytes]) -> None:
    crc = EMPTY_CRC
    for piece in pieces:
        crc = crc64(piece, crc)
    assert crc == crc64(b"".join(pieces))


@given(crcs, crcs, crcs, lengths, lengths)
def test_files_of_any_size_combine_in_any_order(
    a: int, b: int, c: int, of_b: int, of_c: int
) -> None:
    left_first = combine(combine(a, b, of_b), c, of_c)
    assert left_first == combine(a, combine(b, c, of_c), of_b + of_c)


# What clients send.


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
     "crc32c=:AA=AAA==:", "crc32c=:AAAAAA:", "crc32c=:AAAAAA==:,", "crc32c=:AAA AAA==:"],
)  # fmt: skip
def test_a_malformed_field_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_digest(text, "Content-Digest")
    assert caught.value.field == "Content-Digest"


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
