"""Uploads that are joined from others, as values."""

from __future__ import annotations

import pytest

from wherry.core.digests import Digest, crc64
from wherry.core.errors import BadRequest, BytesMissing, MadeOfPieces, UploadGone
from wherry.core.joining import Joining, Piece
from wherry.core.limits import Limits
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.requests import id_of_key, id_of_pieces
from wherry.core.upload import State, Upload

NOW = 100.0


def piece(name: str, data: bytes, received: int | None = None) -> Upload:
    length = len(data) if received is None else received
    parts = (Part(0, length, crc64(data[:length]), NOW),) if length else ()
    return Upload(
        name,
        "alice",
        "upload",
        limit=len(data),
        length=len(data),
        received=PartSet(parts),
        slot_until=NOW + 60,
        joining=Joining(),
    )


def joined(*pieces: Upload) -> Upload:
    return Upload("joined", "alice", "film.mp4", limit=0, queued_at=NOW).join_from(pieces)


def test_a_joined_upload_has_the_bytes_of_its_pieces_in_their_order() -> None:
    first, empty, last = piece("a", b"first"), piece("b", b""), piece("c", b"last")
    upload = joined(first, empty, last, first)
    assert upload.length == 14
    assert upload.joining is not None
    places = upload.joining.places()
    assert places == [("a", Range(0, 5)), ("b", None), ("c", Range(5, 9)), ("a", Range(9, 14))]
    data = {"a": b"first", "c": b"last"}
    for name, within in reversed(places):
        if within is not None:
            upload = upload.join(Part(within.start, within.end, crc64(data[name]), NOW))
    assert upload.is_whole
    assert upload.received_digest == Digest.of_crc(crc64(b"firstlastfirst"))


def test_a_piece_is_joined_once_and_never_twice_at_one_place() -> None:
    upload = joined(piece("a", b"first"))
    part = Part(0, 5, crc64(b"first"), NOW)
    once = upload.join(part)
    assert once.join(part) is once


def test_a_piece_cannot_be_completed_and_a_joined_upload_takes_no_bytes() -> None:
    whole = piece("a", b"first")
    with pytest.raises(BadRequest):
        whole.begin_completion("token", NOW, NOW + 10)
    with pytest.raises(BytesMissing):
        joined(whole).begin_completion("token", NOW, NOW + 10)
    with pytest.raises(MadeOfPieces):
        joined(whole).lease(Range(0, 5), "token", NOW)


def test_a_piece_belongs_to_one_upload_until_that_has_ended() -> None:
    claimed = piece("a", b"first").claim("one")
    assert claimed.claim("one") is claimed
    with pytest.raises(BadRequest):
        claimed.claim("two")
    assert claimed.claim("two", instead_of="one").joined_into == "two"
    ended = claimed.end_piece("one", NOW)
    assert ended.is_joined()
    assert (ended.state, ended.slot_until) == (State.CANCELLED, 0.0)
    with pytest.raises(UploadGone):
        ended.claim("one")
    assert ended.end_piece("two", NOW) is ended


def test_a_piece_that_was_cancelled_is_joined_nowhere() -> None:
    cancelled = piece("a", b"first").claim("one").cancel(NOW)
    assert not cancelled.is_joined()


@pytest.mark.parametrize(
    "upload",
    [
        Upload("a", "alice", "film.mp4", limit=5, length=5),
        joined(piece("a", b"first")),
        Upload("a", "alice", "film.mp4", limit=5, joining=Joining()),
    ],
    ids=["ordinary", "joined", "of unknown length"],
)
def test_nothing_else_is_joined(upload: Upload) -> None:
    with pytest.raises(BadRequest):
        upload.check_joinable()


def test_a_piece_that_is_whole_gives_its_slot_up() -> None:
    limits = Limits()
    assert piece("a", b"first").keep_slot(NOW, limits).slot_until == 0
    assert piece("a", b"first", received=4).keep_slot(NOW, limits).slot_until > NOW


def test_a_joined_upload_does_not_miss_a_turn() -> None:
    upload = joined(piece("a", b"first"))
    assert upload.forfeit(NOW + 1000) is upload


def test_the_identifier_follows_from_owner_and_pieces() -> None:
    made = {
        id_of_pieces("alice", ["a", "b"]),
        id_of_pieces("alice", ["b", "a"]),
        id_of_pieces("alice", ["a"]),
        id_of_pieces("bob", ["a", "b"]),
        id_of_pieces("alice", ["a", "b"], "ticket"),
        id_of_key("alice", "a"),
    }
    assert len(made) == 6
    assert id_of_pieces("alice", ["a", "b"]) in made


def test_the_pieces_of_a_joined_upload_are_known_by_length() -> None:
    assert joined(piece("a", b"first")).pieces == (Piece("a", 5),)
