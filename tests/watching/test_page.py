"""What the page on watching tells a reader to type is typed here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.pages import blocks
from tests.docs.shell import type_all
from tests.e2e.conftest import Api

from wherry.testing.server import serving

PAGE = "howto/watch.md"


@pytest.mark.slow
def test_watching(tmp_path: Path) -> None:
    with serving(tmp_path / "wherry-data") as server, Api(server.url) as api:
        upload_id = api.init(500 << 20)["upload_id"]
        said = type_all(PAGE, server, tmp_path)
    shown = blocks(PAGE, "text")[0].splitlines()
    assert len(shown) == 9
    for line in shown:
        name = line.rpartition(" ")[0]
        assert f"{name} " in said
        if "volume_size" not in name and "volume_free" not in name:
            assert line in said
    assert str(upload_id) in said
    assert '"status":"ready"' in said
