"""A busy server, as the API tells its operator."""

from __future__ import annotations

from typing import Any

MiB, GiB = 1 << 20, 1 << 30

Facts = dict[str, Any]


def _upload(name: str, owner: str, size: int, safe: int, **more: Any) -> Facts:
    received = [[0, safe]] if safe else []
    return {
        "upload_id": name.encode().hex()[:32].ljust(32, "0"),
        "state": "receiving",
        "filename": name,
        "content_type": "video/mp4",
        "fingerprint": None,
        "owner": owner,
        "size": size,
        "chunk_size": 5 * MiB,
        "received_bytes": safe,
        "received": received,
        "missing": [[safe, size]] if safe < size else [],
        "offset": safe,
        "digest": None,
        "assessment_id": None,
        "failure": None,
        "ticket_id": None,
        "position": None,
        "retry_after": None,
        "created_at": "2026-11-23T14:41:02Z",
        "queued_at": None,
        "admitted_at": "2026-11-23T14:41:02Z",
        "last_byte_at": "2026-11-23T14:59:57Z" if safe else None,
        "completed_at": None,
        "expires_at": "2026-11-24T14:59:57Z",
        "deleted_at": None,
        "ended_at": None,
        "path": None,
        **more,
    }


def _waiting(name: str, owner: str, size: int, position: int) -> Facts:
    queued = {"state": "waiting", "position": position, "queued_at": "2026-11-23T14:56:10Z"}
    return _upload(name, owner, size, 0, admitted_at=None, **queued)


def _ended(name: str, owner: str, state: str, failure: str | None) -> Facts:
    ended = {"state": state, "failure": failure, "ended_at": "2026-11-23T15:00:01Z"}
    return _upload(name, owner, 700 * MiB, 64 * MiB, expires_at=None, **ended)


UNFINISHED = [
    _waiting("closing-words.mp4", "carol", 31 * MiB, 2),
    _waiting("مقابلة.mp4", "dunja", 900 * MiB, 1),
    _upload("talk.mp4", "alice", 24 * MiB, 9 * MiB),
    _upload("rehearsal-of-the-whole-evening.mov", "bob@example.org", 3 * GiB, GiB),
]
ENDED = [
    _ended("slides.zip", "alice", "failed", "type-refused"),
    _ended("interview.mov", "bob@example.org", "expired", "its folder was removed"),
]
OVERVIEW: Facts = {
    "at": "2026-11-23T15:00:00Z",
    "version": "0.1.0",
    "python": "3.11.2",
    "problems": [],
    "uploads": {"waiting": 2, "receiving": 2, "completing": 0},
    "max_open": 2,
    "waiting_since": "2026-11-23T14:56:10Z",
    "storage": {
        "total": 91 * GiB,
        "free": 63 * GiB,
        "reserved": 3 * GiB,
        "used": 21 * GiB,
        "uploads": 2,
        "waiting": 2,
    },
    "min_free": 256 * MiB,
    "assessments": {"queued": 4, "running": 1, "failed": 0},
    "worker": {"state": "working", "problem": None},
    "paths": [
        {
            "host": "uploads.example.org",
            "passes": MiB,
            "passed_at": "2026-11-23T14:59:57Z",
            "refuses": MiB + 1,
            "refused_at": "2026-11-23T14:41:02Z",
            "refused_by": "nginx",
            "owners": 3,
            "confirmed": True,
            "passed_since": False,
            "address": "https://uploads.example.org/api",
        },
        {
            "host": "10.1.2.3:8000",
            "passes": 64 * MiB,
            "passed_at": "2026-11-23T14:59:57Z",
            "refuses": None,
            "refused_at": None,
            "refused_by": None,
            "owners": 0,
            "confirmed": False,
            "passed_since": False,
            "address": None,
        },
    ],
}
