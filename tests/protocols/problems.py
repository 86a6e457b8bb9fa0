"""What every refusal must look like."""

from __future__ import annotations

from typing import Any

import httpx2


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer's problem document, which must have this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    assert found["status"] == status
    assert found["detail"]
    assert found["hint"]
    # An identifier among the facts may have these digits, too.
    text = answer.text.replace(str(found.get("upload_id")), "").lower()
    assert ("413" in text or "too large" in text) == (status == 413)
    return found
