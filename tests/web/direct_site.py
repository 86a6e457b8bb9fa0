"""A server whose clients may send parts to the object store, and the store as browsers reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.conftest import sha256
from tests.storage.buckets import client_of
from tests.storage.store_proxy import StoreProxy, store_proxy

from wherry.core.limits import MiB
from wherry.core.place import Place
from wherry.testing.s3 import S3Server
from wherry.testing.server import serving

PART = 5 * MiB


@dataclass(frozen=True, slots=True)
class DirectSite:
    """`store`: in front of the store, as browsers reach it; Wherry itself goes past it."""

    url: str
    store: StoreProxy
    files: Path

    def stored(self) -> set[str]:
        """The SHA-256 of all finished files."""
        return {sha256(path) for path in self.files.iterdir()}


@contextmanager
def direct_site(s3_server: S3Server, folder: Path, *, cors: bool) -> Iterator[DirectSite]:
    """`cors`: whether the bucket has the rule that Wherry prints."""
    bucket = s3_server.make_bucket("wherry-cors" if cors else "wherry-no-cors")
    if cors:
        client_of(s3_server).put_bucket_cors(
            Bucket=bucket, CORSConfiguration=Place(bucket, "").cors_rule()
        )
    with pytest.MonkeyPatch.context() as patch, store_proxy(s3_server.endpoint) as store:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        with serving(
            folder / "data",
            storage=f"s3://{bucket}/{folder.name}",
            s3_endpoint=s3_server.endpoint,
            s3_public_endpoint=store.endpoint,
            direct_uploads=True,
            assessment=False,
        ) as server:
            yield DirectSite(server.url, store, s3_server.folder / bucket / folder.name / "files")
