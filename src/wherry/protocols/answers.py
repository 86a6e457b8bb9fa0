"""Answers with a body of JSON, rendered by the model that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel
from starlette.responses import Response

NOT_STORED = {"Cache-Control": "no-store"}


class JsonAnswer(Response):
    media_type = "application/json"

    def __init__(
        self, model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(model.model_dump_json(), status, headers)


def render_time(seconds: float) -> datetime:
    """Unix seconds as a time in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
