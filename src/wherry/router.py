"""The two lines for an existing FastAPI application.

    from wherry.router import chunked_upload_router
    api_router.include_router(chunked_upload_router(owner=current_user_id))

Rule 1: no route declares a body. FastAPI would read it before it knows who asks.

Rule 2: every route lies under `/chunked-upload`, and so in no way of the application's own.
"""

# No `from __future__ import annotations`: FastAPI could not see the dependencies then,
# which are local names here.

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi import Request as FastAPIRequest
from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute

from wherry.app import App
from wherry.core.errors import ContentRefused, NotThere, Unauthorized
from wherry.core.requests import Caller
from wherry.engine import BeforeComplete, Engine, FinishedFile, Hooks, OnComplete
from wherry.protocols import chunked, files, form, watching
from wherry.protocols.nowhere import Nowhere
from wherry.protocols.openapi import describe
from wherry.protocols.page import page_router
from wherry.protocols.route import UploadRoute, route_class
from wherry.settings import Settings

__all__ = ["ContentRefused", "FinishedFile", "chunked_upload_router", "page_router"]

Verb = Callable[[FastAPIRequest, Caller, Engine], Awaitable[Response]]
Dependency = Callable[..., Any]


def nobody_is_operator() -> bool:
    return False


def chunked_upload_router(
    *,
    owner: Dependency,
    operator: Dependency = nobody_is_operator,
    before_complete: BeforeComplete | None = None,
    on_complete: OnComplete | None = None,
    **settings: Any,
) -> APIRouter:
    """A router with the chunked API, the ordinary upload, finished files and assessments.

    `owner`: a FastAPI dependency that says who asks: text, a number or a UUID that names
    the owner for ever (a user's id); it raises for requests it does not know. `operator`: a
    dependency whose truth lets the caller see storage and everybody's uploads.
    `before_complete(file)` may refuse a file by raising `ContentRefused`;
    `on_complete(file)` starts the application's own processing and returns its
    `assessment_id`; without it, Wherry's own assessment runs in a child process.
    The rest are the names of `wherry.settings.Settings`.
    """
    app = App(parse_settings(settings), Hooks(before_complete, on_complete))

    def as_caller(owner: Annotated[Any, Depends(owner)]) -> Caller:
        if owner is None or owner == "":
            raise Unauthorized  # an optional user that is not there owns nothing
        if isinstance(owner, Caller):
            return owner
        if not isinstance(owner, str | int | UUID):
            # The text of an object may be another one in the next request.
            raise TypeError(f"owner must be an id, text or a number, not a {type(owner).__name__}")
        return Caller(str(owner))

    def as_operator(
        caller: Annotated[Caller, Depends(as_caller)],
        is_operator: Annotated[Any, Depends(operator)],
    ) -> Caller:
        if not (caller.operator or is_operator):
            raise NotThere
        return Caller(caller.owner, operator=True)

    return build_router(app, as_caller, as_operator)


def parse_settings(given: dict[str, Any]) -> Settings:
    """Raises `TypeError` with the name of each that is wrong, and why."""
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise TypeError(f"chunked_upload_router: {'; '.join(wrong)}") from None


def build_router(app: App, caller: Dependency, operator: Dependency) -> APIRouter:
    router = APIRouter(prefix="/chunked-upload", route_class=routes_of(app), lifespan=app.lifespan)
    add = partial(_add, router, app)
    add("POST", "/init", chunked.init, caller)
    add("POST", "/chunk", chunked.chunk, caller)
    add("POST", "/complete", chunked.complete, caller)
    add("POST", "/cancel", chunked.cancel, caller)
    add("GET", "/storage", chunked.storage, operator)
    add("GET", "/all", chunked.everybodys, operator)
    _add_whole(router, app, caller)
    add("GET", "/metrics", watching.metrics, operator)
    add("GET", "/", chunked.listing, caller)
    add("GET", "/{upload_id}", chunked.status, caller)
    add("DELETE", "/{upload_id}", chunked.delete, caller)
    add("GET", "/{upload_id}/events", chunked.events, caller)
    _add(router, app, "GET", "", chunked.listing, caller, is_shown=False)
    return router


def routes_of(app: App) -> type[UploadRoute]:
    return route_class(app.metrics, app.settings.max_body)


def add_nowhere(router: APIRouter, routes: Sequence[BaseRoute]) -> None:
    """A last route, which takes what none of `routes` does.

    For an application that is all ours: in another one it would take addresses of the
    application's own, which may be added below our prefix at any time.
    """
    nowhere = Nowhere(routes)

    async def endpoint(request: FastAPIRequest) -> Response:
        return await nowhere(request)

    router.add_api_route(
        "/{rest:path}",
        endpoint,
        methods=[],  # any
        operation_id="wherry_nowhere",
        include_in_schema=False,
        response_class=Response,
    )


def short_router(app: App, caller: Dependency) -> APIRouter:
    """Whole files and assessments without `/chunked-upload`, for a server that is all ours."""
    router = APIRouter(route_class=routes_of(app))
    _add_whole(router, app, caller)
    return router


def _add_whole(router: APIRouter, app: App, caller: Dependency) -> None:
    add = partial(_add, router, app)
    add("POST", "/upload", form.upload, caller)
    add("GET", "/files/{upload_id}", files.get_file, caller)
    add("DELETE", "/files/{upload_id}", files.delete_file, caller)
    if app.settings.assessment:
        add("GET", "/assessments/{assessment_id}", files.get_assessment, caller)
        add("GET", "/assessments/{assessment_id}/pictures/{name}", files.get_picture, caller)


def _add(  # noqa: PLR0917 - it is read as a table
    router: APIRouter,
    app: App,
    method: str,
    path: str,
    verb: Verb,
    who: Dependency,
    is_shown: bool = True,
) -> None:
    async def endpoint(
        request: FastAPIRequest, caller: Annotated[Caller, Depends(who)]
    ) -> Response:
        return await verb(request, caller, await app.engine())

    add = partial(router.add_api_route, path, endpoint, response_class=Response)
    described = describe(verb, path) | {"include_in_schema": is_shown}
    add(methods=[method], name=f"wherry_{verb.__name__}", **described)
    if method == "GET":  # RFC 9110, section 9.3.2: HEAD is GET without the content
        add(methods=["HEAD"], name=f"wherry_{verb.__name__}_head", include_in_schema=False)
