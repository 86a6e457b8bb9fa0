"""Digests are combined from those of parts."""

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
    running,
)

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


@given(digests)
def test_a_digest_is_read_back_from_its_text(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize("text", ["", "sha-256", "sha-256=", "sha-256=:", "a=AA"])
def test_a_text_that_is_no_digest_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not algorithm"):
        Digest.parse(text)
