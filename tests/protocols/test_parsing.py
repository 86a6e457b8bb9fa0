"""Whatever bytes come: a value, or an `UploadError`, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from wherry.core.errors import UploadError
from wherry.core.limits import LARGEST_SIZE
from wherry.protocols.bodies.form import parse_boundary
from wherry.protocols.chunked.chunks import parse_chunk
from wherry.protocols.chunked.models import (
    CancelRequest,
    CompleteRequest,
    InitRequest,
    parse_init,
)
from wherry.protocols.form.models import parse_disposition
from wherry.protocols.parsing import parse_filename, parse_id, parse_model, parse_number

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text() | st.text("0123456789+-_ ٣"))
def test_a_number_is_digits_up_to_the_largest(text: str) -> None:
    try:
        number = parse_number(text, "offset")
    except UploadError:
        assert not (
            text.isascii() and text.isdigit() and int(text) <= LARGEST_SIZE and len(text) < 20
        )
    else:
        assert 0 <= number <= LARGEST_SIZE
        assert set(text) <= set("0123456789")


@given(text=st.text())
def test_an_identifier_could_be_a_folder_and_nothing_more(text: str) -> None:
    with suppress(UploadError):
        assert not set(parse_id(text)) & set("./\\%\0 ")


@given(text=st.text() | st.text("filename*=UTF-8''%\"; boundary"))
def test_any_boundary_is_parsed_or_refused(text: str) -> None:
    with suppress(UploadError):
        assert parse_boundary(text)


@given(
    header=st.binary()
    | st.text("filename*=UTF-8''%\"; 0123:\\").map(str.encode)
    | st.text().map(lambda name: f'attachment; filename="{name}"'.encode("utf-8", "replace"))
    | st.tuples(st.sampled_from(["idna", "punycode", "zip", "utf-7", "utf-8"]), st.text("%fg8-"))
    .map("attachment; filename*={0[0]}''{0[1]}".format)
    .map(str.encode)
)
def test_any_disposition_is_parsed_or_refused(header: bytes) -> None:
    with suppress(UploadError):
        assert parse_disposition(header)
    with suppress(UploadError):
        parse_filename(header, is_form=True)


@given(body=st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_request_or_refused(body: bytes) -> None:
    for model in (InitRequest, CompleteRequest, CancelRequest):
        with suppress(UploadError):
            parse_model(body, model)


@given(
    wanted=st.fixed_dictionaries(
        {"filename": anything, "size": anything},
        optional=dict.fromkeys(
            ("content_type", "chunk_size", "fingerprint", "digest", "metadata"), anything
        ),
    )
)
def test_whatever_init_is_given_it_makes_a_request_or_refuses(wanted: dict[str, object]) -> None:
    with suppress(UploadError):
        create = parse_init(parse_model(json.dumps(wanted).encode(), InitRequest))
        assert create.length is not None
        assert 0 <= create.length <= LARGEST_SIZE


@given(
    fields=st.dictionaries(
        st.sampled_from(["upload_id", "offset", "chunk_index"]), st.text() | st.just("0" * 32)
    ),
    digest=st.none() | st.text() | st.text("sha-256crc64nvme=:+/,"),
)
def test_whatever_a_chunk_says_it_is_placed_or_refused(
    fields: dict[str, str], digest: str | None
) -> None:
    with suppress(UploadError):
        chunk = parse_chunk(fields, digest)
        assert chunk.is_numbered == ("chunk_index" in fields)
        assert 0 <= chunk.at <= LARGEST_SIZE
