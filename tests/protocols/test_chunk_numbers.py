"""Chunks by number: times the `chunk_size` that init answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.errors import RangeOutside
from wherry.core.upload import Upload
from wherry.protocols.chunked.chunks import chunk_range, total_chunks


def upload(length: int, chunk_size: int) -> Upload:
    return Upload(
        "u", owner="ann", filename="film.mp4", limit=length, length=length, chunk_size=chunk_size
    )


@given(length=st.integers(0, 60), chunk_size=st.integers(1, 70))
def test_the_chunks_by_number_are_the_whole_file_in_order(length: int, chunk_size: int) -> None:
    file = upload(length, chunk_size)
    total = total_chunks(file)
    assert total is not None
    chunks = [chunk_range(file, index) for index in range(total)]
    assert [i for chunk in chunks for i in range(chunk.start, chunk.end)] == list(range(length))
    assert all(len(chunk) == chunk_size for chunk in chunks[:-1])


@given(index=st.integers(3, 1 << 70))
def test_a_chunk_behind_the_last_one_is_outside(index: int) -> None:
    with pytest.raises(RangeOutside) as caught:
        chunk_range(upload(10, 4), index)
    assert caught.value.end < 1 << 63


def test_without_a_length_there_is_no_number_of_chunks() -> None:
    assert total_chunks(Upload("u", owner="ann", filename="f", limit=10)) is None
