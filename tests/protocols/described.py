"""Every answer of every test is held against what OpenAPI says of it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class Described:
    """`paths`: OpenAPI's paths of the application."""

    def __init__(self, paths: dict[str, Any]) -> None:
        self._paths = paths
        for path, operations in self._paths.items():
            for operation in operations.values():
                named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
                assert named == set(re.findall(r"{(\w+)}", path)), path

    async def __call__(self, answer: httpx2.Response) -> None:
        """Raises `AssertionError` for an answer that the description does not have."""
        operation = self._operation(answer.request.method, answer.request.url.path)
        # The host's own answers are the host's to describe.
        if operation is None or answer.headers.get("x-request-id") is None:
            return
        described = operation["responses"].get(str(answer.status_code))
        where = f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"
        assert described, f"{where} is not described"
        if answer.request.method == "HEAD":
            return
        content_type = answer.headers.get("content-type", "")
        if content_type.split(";")[0].endswith("json"):
            await answer.aread()
            schema = described["content"][content_type]["schema"]
            check(json.loads(answer.text), schema, where)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, operations in self._paths.items():
            wanted = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern))
            if re.fullmatch(wanted, path) and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None


def check(value: Any, schema: dict[str, Any], where: str) -> None:
    """The parts of JSON Schema that our description uses."""
    allowed = schema.get("type", list(TYPES))
    allowed = [allowed] if isinstance(allowed, str) else allowed
    assert any(isinstance(value, TYPES[name]) for name in allowed), f"{where}: {value!r}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    if isinstance(value, str) and "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r}"
    if isinstance(value, dict) and "properties" in schema:
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, f"{where}: {missing} missing"
        if schema["properties"].keys() & {"code"} == set():  # a problem may carry more facts
            assert set(value) <= set(schema["properties"]), f"{where}: {set(value)}"
        for name, below in schema["properties"].items():
            if name in value:
                check(value[name], below, f"{where} {name}")
    if isinstance(value, list) and "items" in schema:
        for item in value:
            check(item, schema["items"], where)
