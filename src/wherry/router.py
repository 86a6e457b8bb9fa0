"""The two lines for an existing FastAPI application.

    from wherry.router import chunked_upload_router
    api_router.include_router(chunked_upload_router(owner=current_user_id))

Rule 1: no route declares a body. FastAPI would read it before it knows who asks.
"""

# No `from __future__ import annotations`: FastAPI could not see the dependencies then,
# which are local names here.

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as FastAPIRequest
from starlette.responses import Response

from wherry.app import App
from wherry.core.errors import ContentRefused, NotThere, Unauthorized
from wherry.core.requests import Caller
from wherry.engine import BeforeComplete, Engine, FinishedFile, Hooks, OnComplete
from wherry.protocols import chunked, files, form
from wherry.protocols.openapi import describe
from wherry.protocols.route import UploadRoute
from wherry.settings import Settings

__all__ = ["ContentRefused", "FinishedFile", "chunked_upload_router"]

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

    `owner`: a FastAPI dependency that says who asks: any value whose `str()` names the
    owner for ever (a user's id); it raises for requests it does not know. `operator`: a
    dependency whose truth lets the caller see storage and everybody's uploads.
    `before_complete(file)` may refuse a file by raising `ContentRefused`;
    `on_complete(file)` starts the application's own processing and returns its
    `assessment_id`; without it, Wherry's own assessment runs in a child process.
    The rest are the names of `wherry.settings.Settings`.
    """
    app = App(Settings(**settings), Hooks(before_complete, on_complete))

    def as_caller(owner: Annotated[Any, Depends(owner)]) -> Caller:
        if owner is None or owner == "":
            raise Unauthorized  # an optional user that is not there owns nothing
        return owner if isinstance(owner, Caller) else Caller(str(owner))

    def as_operator(
        caller: Annotated[Caller, Depends(as_caller)],
        is_operator: Annotated[Any, Depends(operator)],
    ) -> Caller:
        if not (caller.operator or is_operator):
            raise NotThere
        return Caller(caller.owner, operator=True)

    return build_router(app, as_caller, as_operator)


def build_router(app: App, caller: Dependency, operator: Dependency) -> APIRouter:
    router = APIRouter(route_class=UploadRoute, lifespan=app.lifespan)

    def add(method: str, path: str, verb: Verb, who: Dependency = caller) -> None:
        async def endpoint(
            request: FastAPIRequest, caller: Annotated[Caller, Depends(who)]
        ) -> Response:
            return await verb(request, caller, await app.engine())

        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=verb.__name__,
            response_class=Response,
            **describe(verb, path),
        )

    upload = "/chunked-upload"
    add("POST", f"{upload}/init", chunked.init)
    add("POST", f"{upload}/chunk", chunked.chunk)
    add("POST", f"{upload}/complete", chunked.complete)
    add("POST", f"{upload}/cancel", chunked.cancel)
    add("GET", f"{upload}/storage", chunked.storage, operator)
    add("GET", f"{upload}/all", chunked.everybodys, operator)
    add("GET", f"{upload}/", chunked.listing)
    add("GET", f"{upload}/{{upload_id}}", chunked.status)
    add("DELETE", f"{upload}/{{upload_id}}", chunked.delete)
    add("GET", f"{upload}/{{upload_id}}/events", chunked.events)
    add("POST", "/upload", form.upload)
    add("GET", "/files/{upload_id}", files.get_file)
    add("DELETE", "/files/{upload_id}", files.delete_file)
    add("GET", "/assessments/{assessment_id}", files.get_assessment)
    add("GET", "/assessments/{assessment_id}/pictures/{name}", files.get_picture)
    return router
