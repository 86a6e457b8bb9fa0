"""OpenAPI's words for what several protocols take and answer.

Schemas stand where they are used, and not among the application's components: an application
that includes our router has names of its own there.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema

from wherry.core.pages import LARGEST_PAGE, PAGE
from wherry.core.states import State

#: An identifier of ours, in an answer.
Id = Annotated[str, Field(json_schema_extra={"pattern": "^[0-9a-f]{32}$"})]
#: The state in the answer of a verb that completes. Answers describe such texts and do not check
#: them: a state that another request has changed meanwhile is answered, and no server error.
Completion = Annotated[
    str,
    Field(
        json_schema_extra={"enum": [state.value for state in State]},
        description="`complete`; with 202 mostly `completing`, else what is recorded by then.",
    ),
]
#: An identifier, in a query or a form.
ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
#: A number of bytes, in a query or a form.
BYTES = {"type": "integer", "minimum": 0}

BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class _WithoutTitles(GenerateJsonSchema):
    """A field's title is its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of an answer, complete in itself. All operations share it: it is not changed.

    Every operation describes its refusals. Made each time, schemas took most of a server's start.
    """
    schema = model.model_json_schema(mode="serialization", schema_generator=_WithoutTitles)
    definitions = schema.pop("$defs", {})
    found: dict[str, Any] = _resolved(schema, definitions)
    return found


def _resolved(value: Any, definitions: dict[str, Any]) -> Any:
    """The schema with references replaced by what they name, and null as one more type."""
    if isinstance(value, list):
        return [_resolved(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        named = definitions[value["$ref"].rpartition("/")[2]]
        return _resolved(named | {k: v for k, v in value.items() if k != "$ref"}, definitions)
    found = {key: _resolved(below, definitions) for key, below in value.items()}
    match found.get("anyOf"):
        case [{"type": str(kind), **rest}, {"type": "null"}] if "enum" not in rest:
            del found["anyOf"]
            return {**rest, **found, "type": [kind, "null"]}
    return found


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A request body that is this model."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {"required": True, "content": json_content(_resolved(schema, definitions))}


def file_body(file_field: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A request body that is raw bytes, or a form with a file and these fields before it."""
    file = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "properties": {**fields, file_field: file},
        "required": [file_field],
    }
    return {"required": True, "content": {**BINARY, "multipart/form-data": {"schema": schema}}}


def query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}


def page_parameters(of: str) -> tuple[dict[str, Any], ...]:
    """Which page of a list is wanted. `of`: what it lists, in the plural."""
    return (
        query(
            "limit",
            {"type": "integer", "minimum": 1, "default": PAGE},
            f"The most {of} to answer; never more than {LARGEST_PAGE:,}.",
        ),
        query("after", {"type": "string"}, "The `next` of the page before."),
        query(
            "order",
            {"type": "string", "enum": ["oldest", "newest"], "default": "oldest"},
            f"Which {of} come first.",
        ),
    )


FINGERPRINT = query(
    "fingerprint",
    {"type": "string", "minLength": 1},
    "A text that is the same for the same file. A list finds the file's uploads by it.",
)
#: A refusal on the way, which a later request reports.
REPORT = (
    query("refused", BYTES, "The bytes of a body that a proxy on the way refused for its size."),
    query(
        "refused_by",
        {"type": "string", "pattern": "^[a-z0-9._/-]{1,40}$"},
        "Which proxy that was, as far as the client can tell.",
    ),
)
