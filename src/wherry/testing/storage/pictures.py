"""Pictures of assessments, by the id of the assessment and the name of the picture."""

from __future__ import annotations

from wherry.storage import Storage
from wherry.testing.storage.fixtures import DATA, new_id, raises, read, size


def a_picture_is_kept_and_replaced(storage: Storage) -> None:
    pictures, assessment_id = storage.pictures, new_id()
    picture = pictures.get(assessment_id, "poster.jpg")
    assert picture.stat() is None
    for data in (DATA, b"smaller"):
        pictures.put(assessment_id, "poster.jpg", data)
        assert size(picture) == len(data)
        assert read(picture) == data
    assert pictures.get(assessment_id, "contact.jpg").stat() is None
    assert pictures.get(new_id(), "poster.jpg").stat() is None
    with raises(FileNotFoundError):
        pictures.get(assessment_id, "contact.jpg").open()


def pictures_are_deleted_with_their_assessment(storage: Storage) -> None:
    pictures, assessment_id, other = storage.pictures, new_id(), new_id()
    for owner in (assessment_id, other):
        for name in ("poster.jpg", "storyboard.vtt"):
            pictures.put(owner, name, DATA)
    for _ in range(2):
        pictures.delete(assessment_id)
        for name in ("poster.jpg", "storyboard.vtt"):
            assert pictures.get(assessment_id, name).stat() is None
            assert read(pictures.get(other, name)) == DATA
    pictures.put(assessment_id, "poster.jpg", DATA)
    assert read(pictures.get(assessment_id, "poster.jpg")) == DATA


def picture_names_cannot_leave_the_storage(storage: Storage) -> None:
    pictures, good = storage.pictures, "poster.jpg"
    for name in ("", ".", "..", "../a.jpg", "a/b.jpg", ".jpg", "a.JPG", "a.html", "a.jpg\n", "a"):
        with raises(ValueError):
            pictures.get(new_id(), name)
        with raises(ValueError):
            pictures.put(new_id(), name, b"")
    for assessment_id in ("", ".", "..", "a/b", "a" * 65, "a\n", "a\0", "ä"):
        with raises(ValueError):
            pictures.get(assessment_id, good)
        with raises(ValueError):
            pictures.put(assessment_id, good, b"")
        with raises(ValueError):
            pictures.delete(assessment_id)
