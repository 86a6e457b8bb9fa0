"""A folder that is away is not a folder that was deleted, and nothing is decided by it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wherry.core.ranges import Range
from wherry.storage import Vanished
from wherry.storage.folders import FolderAway
from wherry.storage.local import LocalStorage

UPLOAD, FINISHED, OTHER = "u" * 22, "f" * 22, "o" * 22
DATA = bytes(range(256)) * 64


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """With one unfinished and one finished upload."""
    storage = LocalStorage(tmp_path / "root")
    storage.check()
    for upload_id in (UPLOAD, FINISHED):
        storage.reserve(upload_id, len(DATA))
        write(storage, upload_id)
    storage.finish(FINISHED, ".mp4", len(DATA))
    return storage


def write(storage: LocalStorage, upload_id: str) -> None:
    with storage.open(upload_id, Range(0, len(DATA))) as writer:
        writer.write(0, memoryview(DATA))
        writer.sync()


VERBS: dict[str, Callable[[LocalStorage], object]] = {
    "check": lambda s: s.check(),
    "present": lambda s: s.present(),
    "space": lambda s: s.space(),
    "reserve": lambda s: s.reserve(OTHER, 1),
    "open": lambda s: s.open(UPLOAD, Range(0, 1)),
    "head": lambda s: s.head(UPLOAD, 1),
    "finish": lambda s: s.finish(UPLOAD, ".mp4", len(DATA)),
    "finish again": lambda s: s.finish(FINISHED, ".mp4", len(DATA)),
    "finished file": lambda s: s.finished_file(FINISHED, ".mp4").stat(),
    "open finished file": lambda s: s.finished_file(FINISHED, ".mp4").open(),
    "unfinished file": lambda s: s.unfinished_file(UPLOAD, len(DATA)),
    "put picture": lambda s: s.pictures.put("a", "poster.jpg", b"?"),
    "get picture": lambda s: s.pictures.get("a", "poster.jpg").stat(),
    "delete pictures": lambda s: s.pictures.delete("a"),
    "delete": lambda s: s.delete(UPLOAD),
    "discard": lambda s: s.discard(FINISHED, ".mp4"),
    "unfinished": lambda s: list(s.unfinished()),
}


def root_of(storage: LocalStorage) -> Path:
    return storage.root


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
@pytest.mark.parametrize("instead", ["nothing", "a folder", "a file", "another data folder"])
@pytest.mark.parametrize("name", ["", "temp_chunks", "files"])
def test_while_a_folder_is_away_every_verb_is_an_error_and_changes_nothing(
    storage: LocalStorage, name: str, instead: str, verb: Callable[[LocalStorage], object]
) -> None:
    path = root_of(storage) / name
    away = path.with_name("away")
    path.rename(away)
    if instead == "a file":
        path.write_text("in the way")
    elif instead == "a folder":
        path.mkdir()
    elif instead == "another data folder":
        LocalStorage(path if name == "" else path.parent).check()
    before = sorted(path.rglob("*")) if path.is_dir() else path.exists()
    with pytest.raises(FolderAway, match="away"):
        verb(storage)
    assert before == (sorted(path.rglob("*")) if path.is_dir() else path.exists())
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    away.rename(path)
    assert storage.head(UPLOAD, len(DATA)) == DATA
    assert storage.finished_file(FINISHED, ".mp4").stat()
    assert storage.finish(UPLOAD, ".mp4", len(DATA)).local_path.read_bytes() == DATA


def test_the_inode_of_a_deleted_folder_is_not_mistaken_for_it(storage: LocalStorage) -> None:
    """While a descriptor is open, the kernel cannot give the number to the next folder."""
    root = root_of(storage)
    shutil.rmtree(root)
    root.mkdir()
    (root / "temp_chunks").mkdir()
    with pytest.raises(FolderAway):
        storage.head(UPLOAD, 1)


@pytest.mark.parametrize("name", ["temp_chunks", "files"])
def test_a_deleted_folder_is_made_again_and_what_was_in_it_is_gone(
    storage: LocalStorage, name: str
) -> None:
    shutil.rmtree(root_of(storage) / name)
    storage.present()
    assert (root_of(storage) / name).is_dir()
    if name == "temp_chunks":
        with pytest.raises(Vanished):
            storage.head(UPLOAD, 1)
    else:
        assert not storage.finished_file(FINISHED, ".mp4").stat()
    storage.reserve(OTHER, len(DATA))
    write(storage, OTHER)
    assert storage.finish(OTHER, ".mp4", len(DATA)).local_path.read_bytes() == DATA


def test_of_two_processes_one_makes_a_deleted_folder_and_the_other_takes_it(
    storage: LocalStorage,
) -> None:
    other = LocalStorage(root_of(storage))
    other.check()
    shutil.rmtree(root_of(storage) / "temp_chunks")
    storage.reserve(OTHER, 1)
    assert [found for found, _ in other.unfinished()] == [OTHER]


def test_bytes_on_their_way_stay_in_their_file_while_its_folder_is_away(
    storage: LocalStorage,
) -> None:
    root = root_of(storage)
    with storage.open(UPLOAD, Range(0, len(DATA))) as writer:
        writer.write(0, memoryview(DATA)[: len(DATA) // 2])
        root.rename(root.with_name("away"))
        writer.write(len(DATA) // 2, memoryview(DATA)[len(DATA) // 2 :])
        writer.sync()
    root.with_name("away").rename(root)
    assert storage.finish(UPLOAD, "", len(DATA)).local_path.read_bytes() == DATA


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_volume_mounted_over_the_folder_is_another_one_until_it_is_unmounted(
    storage: LocalStorage,
) -> None:
    path = root_of(storage) / "temp_chunks"
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "wherry-test", str(path)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with pytest.raises(FolderAway):
            storage.head(UPLOAD, 1)
    finally:
        subprocess.run(["umount", str(path)], check=True)
    assert storage.head(UPLOAD, len(DATA)) == DATA


def test_whatever_lies_in_an_uploads_folder_is_removed_with_it(storage: LocalStorage) -> None:
    folder = storage.root / "temp_chunks" / UPLOAD
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").write_text("of somebody else")
    (folder / "link").symlink_to(storage.finished_file(FINISHED, ".mp4").local_path)
    path = storage.finish(UPLOAD, ".mp4", len(DATA)).local_path
    assert path.read_bytes() == DATA
    assert not folder.exists()
    assert storage.finished_file(FINISHED, ".mp4").stat()


def test_a_folder_that_cannot_be_removed_does_not_stop_completion(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        assert storage.finish(UPLOAD, ".mp4", len(DATA)).local_path.read_bytes() == DATA
    assert [found for found, _ in storage.unfinished()] == [UPLOAD]
    storage.delete(UPLOAD)
    assert list(storage.unfinished()) == []


def test_looking_at_an_upload_opens_nothing_for_writing(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, opened = os.open, []

    def spy(path: str, flags: int, *args: object, **kwargs: object) -> int:
        opened.append(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", spy)
    storage.head(UPLOAD, 0)
    assert opened
    assert not any(opened)
