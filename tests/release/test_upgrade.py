"""A data folder that an earlier build has left works with this one, without a step by hand."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from tests.e2e.conftest import Api, make_file, sha256
from tests.parts import need_package
from tests.release.installation import CHUNK, KEPT, OPTIONS, SIZE

from wherry.testing.server import serving


@pytest.mark.parametrize("archive", sorted(KEPT.iterdir()), ids=lambda path: path.stem)
def test_files_reports_keys_and_unfinished_uploads_are_kept(tmp_path: Path, archive: Path) -> None:
    need_package("av")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    data = tmp_path / "data"
    facts = json.loads((data / "facts.json").read_text())
    part = make_file(tmp_path / "part.mp4", SIZE).read_bytes()
    with serving(data, **OPTIONS) as server, Api(server.url, facts["key"]) as api:
        status = api.status(facts["status"]["upload_id"])
        del facts["status"]["path"]  # what is known of the way, which is another one
        assert status | facts["status"] == status, "fields may come, and none change"
        report = api.http.get(facts["assessment"]).json()
        assert report | facts["report"] == report
        unfinished = facts["unfinished"]
        assert api.status(unfinished)["state"] == "receiving"
        assert api.chunk(unfinished, CHUNK, part[CHUNK:]).is_success
        assert api.complete(unfinished).is_success
    by_sum = {sha256(path) for path in (data / "files").iterdir()}
    assert by_sum == {facts["sha256"], sha256(tmp_path / "part.mp4")}
