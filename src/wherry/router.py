"""The router for an existing FastAPI application.

    from wherry.router import chunked_upload_router
    api_router.include_router(chunked_upload_router(owner=current_user_id))

Rule 1: no route declares a body. FastAPI would read it before the request is authorised.

Rule 2: every route lies under `/chunked-upload`, so none hides a route of the application.
"""

# No `from __future__ import annotations`: FastAPI could not resolve the dependencies then,
# because they are local names here.

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from wherry.app import App
from wherry.core.assessment import parse_priority
from wherry.core.errors import ContentRefused, NotThere, Unauthorized
from wherry.core.requests import Caller
from wherry.engine import BeforeComplete, FinishedFile, Hooks, OnComplete, Priority
from wherry.protocols import (
    chunked,
    examination,
    files,
    form,
    frontends,
    guests,
    ietf,
    probe,
    receipts,
    tus,
    watching,
)
from wherry.protocols.direct import Address
from wherry.protocols.guests import has_ticket, presented_by
from wherry.protocols.notfound import NotFound
from wherry.protocols.operation import Operation
from wherry.protocols.page import page_router
from wherry.protocols.route import Around, UploadRoute, route_class
from wherry.settings import Settings

__all__ = [
    "ContentRefused",
    "FinishedFile",
    "UploadRouter",
    "chunked_upload_router",
    "page_router",
    "tus_router",
]

Dependency = Callable[..., Any]
#: Finds the caller of a request, for the standalone server. Raises if none is authorised.
Who = Callable[[Request], Awaitable[Caller]]

PREFIX = "/chunked-upload"


class UploadRouter(APIRouter):
    """A router with what a router of another protocol needs, to share its engine and its login."""

    def __init__(self, app: App, caller: Dependency, guest: Dependency | None) -> None:
        super().__init__(prefix=PREFIX, route_class=routes_of(app), lifespan=app.lifespan)
        self.wherry, self.caller, self.guest = app, caller, guest


async def nobody_is_operator() -> bool:
    return False


def chunked_upload_router(
    *,
    owner: Dependency,
    operator: Dependency = nobody_is_operator,
    before_complete: BeforeComplete | None = None,
    on_complete: OnComplete | None = None,
    priority: Priority = 0,
    **settings: Any,
) -> UploadRouter:
    """A router with the chunked API, the ordinary upload, finished files and assessments.

    `owner`: a FastAPI dependency that returns the owner of what the request uploads, as text, a
    number or a UUID that never changes (a user's id); it raises for requests that are not
    authorised. `operator`: a dependency that returns whether the caller may see the storage and
    the uploads of all owners. `before_complete(file)` may refuse a file by raising
    `ContentRefused`. `on_complete(file)` starts the application's own processing and returns its
    `assessment_id`; without it, Wherry's own assessment runs in a child process. `priority`: of
    that assessment, a number from -100 to 100, or a function `priority(file)` that returns one;
    workers begin the highest first. All other arguments are the names of
    `wherry.settings.Settings`.
    """
    check_priority(priority, on_complete)
    app = App(parse_settings(settings), Hooks(before_complete, on_complete), priority)

    # Coroutines, because FastAPI calls other functions on a thread.

    async def as_caller(owner: Annotated[Any, Depends(owner)]) -> Caller:
        if owner is None or owner == "":
            raise Unauthorized  # an optional login that is missing
        if isinstance(owner, Caller):
            return owner
        if not isinstance(owner, str | int | UUID):
            # The text of an object may differ in the next request.
            raise TypeError(f"owner must be an id, text or a number, not a {type(owner).__name__}")
        return Caller(str(owner))

    async def as_operator(
        caller: Annotated[Caller, Depends(as_caller)],
        is_operator: Annotated[Any, Depends(operator)],
    ) -> Caller:
        if not (caller.operator or is_operator):
            raise NotThere
        return Caller(caller.owner, operator=True)

    async def as_guest(request: Request) -> Caller:
        return await guest(app, request)

    return build_router(app, as_caller, as_operator, as_guest)


def parse_settings(given: dict[str, Any]) -> Settings:
    """Raises `TypeError` with the name of each wrong setting, and why it is wrong."""
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise TypeError(f"chunked_upload_router: {'; '.join(wrong)}") from None


def check_priority(priority: Priority, on_complete: OnComplete | None) -> None:
    """Raises `TypeError` for what is no priority, and where nothing would have it."""
    try:
        if on_complete is not None and priority != 0:
            raise ValueError("with on_complete, there are no assessments of Wherry's to order")
        if not callable(priority):
            parse_priority(priority)
        elif iscoroutinefunction(priority):
            raise ValueError("it must be a number or a function, and no coroutine function")
    except ValueError as error:
        raise TypeError(f"chunked_upload_router: priority: {error}") from None


async def guest(app: App, request: Request) -> Caller:
    """The guest whose ticket the request has.

    Raises `Unauthorized`, `TicketRevoked`, `TicketExpired`.
    """
    if not (app.settings.guests or app.settings.shared_reports):
        raise Unauthorized
    return await (await app.engine()).tickets.let_in(presented_by(request.headers))


def build_router(
    app: App, caller: Dependency, operator: Dependency, guest: Dependency | None = None
) -> UploadRouter:
    """Everything below `/chunked-upload`: the tables of all protocols, side by side.

    `guest`: who a request with a ticket is of, for an application whose own login does not know
    tickets. None: `caller` tells.
    """
    router = UploadRouter(app, caller, guest)
    if app.settings.receipt_key:
        _add_keys(router, app)
    # The first route that matches takes a request, and /{upload_id} would match /metrics, too.
    for operation in sorted(operations(app), key=lambda each: "{" in each.path):
        who = operator if operation.is_operators else caller
        _add_for_all(router, app, operation, who, guest)
    return router


def tus_router(uploads: UploadRouter) -> APIRouter:
    """A router with tus 1.0, for the same uploads, owners and hooks as `uploads`.

        uploads = chunked_upload_router(owner=current_user_id)
        app.include_router(uploads, prefix="/api")
        app.include_router(tus_router(uploads), prefix="/files")

    `uploads`: what `chunked_upload_router` has returned; the application includes it, too.
    """
    app = uploads.wherry
    router = APIRouter(route_class=routes_of(app))
    for operation in at_tus():
        _add_for_all(router, app, operation, uploads.caller, uploads.guest)
    return router


def operations(app: App) -> tuple[Operation, ...]:
    """Everything below `/chunked-upload`."""
    tickets = guests.operations(app.settings)
    signed = receipts.ROUTES if app.settings.receipt_key else ()
    others = frontends.ROUTES if app.settings.front_ends else ()
    own = (*chunked.ROUTES, *whole_files(app), *tickets, *signed, *others)
    return (*own, *watching.ROUTES, *probe.ROUTES, *examination.ROUTES)


def whole_files(app: App) -> tuple[Operation, ...]:
    """The operations on whole files; assessments only where Wherry makes them."""
    assessments = files.ASSESSMENTS if app.settings.assessment else ()
    return (*_together(ietf.ROUTES, form.ROUTES), *files.FILES, *assessments)


def at_tus() -> tuple[Operation, ...]:
    """The operations where tus clients go."""
    return _together(ietf.AT_TUS, tus.ROUTES)


def _together(first: Sequence[Operation], then: Sequence[Operation]) -> tuple[Operation, ...]:
    """Both tables, for which OpenAPI has one operation at each address and method."""
    others = {(each.method, each.path): each for each in first}
    addresses = {(each.method, each.path) for each in then}
    shown = (
        replace(each, is_shown=each.is_shown and (each.method, each.path) not in addresses)
        for each in first
    )
    beside = (
        each.beside(other) if (other := others.get((each.method, each.path))) else each
        for each in then
    )
    return (*shown, *beside)


def around(app: App, operation: Operation | None = None) -> Around:
    """`operation`: None for routes that are in no table."""
    plain = Around(app.metrics, app.load, app.settings.max_body)
    if operation is None:
        return plain
    return replace(
        plain,
        begins=operation.begins,
        statuses=operation.statuses,
        render=operation.render,
        headers=operation.headers,
        takes=operation.takes,
    )


def _add_keys(router: APIRouter, app: App) -> None:
    """Add the public keys of receipts, for which nobody has to log in."""

    async def endpoint() -> Response:
        return await receipts.keys(await app.engine())

    add = partial(router.add_api_route, receipts.KEYS, endpoint, response_class=Response)
    add(methods=["GET"], name="wherry_receipt_keys", **receipts.described_keys())
    add(methods=["HEAD"], name="wherry_receipt_keys_head", include_in_schema=False)


class GuestRoute(UploadRoute):
    """A route only for requests with a ticket; the one behind it at the same address takes others.

    So the login of the application is never asked about a ticket, which it does not know.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if has_ticket(scope) else (Match.NONE, {})


def routes_of(app: App) -> type[UploadRoute]:
    return route_class(around(app))


def addresses(
    app: App, caller: Who, operator: Who, prefix: str, tus_prefix: str
) -> Iterator[Address]:
    """What `build_router` and `short_router` have, behind `prefix`, for `direct.Direct`.

    And what `tus_router` has, behind `tus_prefix`.
    """
    if app.settings.receipt_key:

        async def keys(_: Request) -> Response:
            return await receipts.keys(await app.engine())

        whole = around(app).application(keys)
        yield Address("GET", f"{prefix}{PREFIX}{receipts.KEYS}", whole)
    for operation in operations(app):
        who = operator if operation.is_operators else caller
        yield _address(f"{prefix}{PREFIX}", app, operation, who)
    for operation in whole_files(app):
        yield _address(prefix, app, operation, caller)
    for operation in at_tus():
        yield _address(tus_prefix, app, operation, caller)


def _address(prefix: str, app: App, operation: Operation, who: Who) -> Address:
    async def endpoint(request: Request) -> Response:
        return await _perform(operation, request, await who(request), app)

    whole = around(app, operation).application(endpoint)
    return Address(operation.method, f"{prefix}{operation.path}", whole, operation.takes)


async def _perform(operation: Operation, request: Request, caller: Caller, app: App) -> Response:
    operation.check_caller(caller)
    engine = await app.engine()
    if not operation.is_operators:
        await engine.check_rate(caller)
    return await operation.verb(request, caller, engine)


def add_not_found(router: APIRouter, routes: Sequence[BaseRoute]) -> None:
    """Add the not-found route, which takes every request that none of `routes` takes.

    Only for the standalone server. In another application it would take addresses of the
    application's own, which may be added below our prefix at any time.
    """
    not_found = NotFound(routes)

    async def endpoint(request: Request) -> Response:
        return await not_found(request)

    router.add_api_route(
        "/{rest:path}",
        endpoint,
        methods=[],  # any
        operation_id="wherry_not_found",
        include_in_schema=False,
        response_class=Response,
    )


def short_router(app: App, caller: Dependency) -> APIRouter:
    """Whole files and assessments without `/chunked-upload`, for the standalone server."""
    router = APIRouter(route_class=routes_of(app))
    for operation in whole_files(app):
        _add(router, app, operation, caller)
    return router


def _add_for_all(
    router: APIRouter, app: App, operation: Operation, who: Dependency, guest: Dependency | None
) -> None:
    """Add it for `who`; before that, for requests with a ticket, if the login knows none."""
    if guest is not None and operation.takes_tickets(app.settings):
        _add(router, app, operation, guest, for_guests=True)
    _add(router, app, operation, who)


def _add(
    router: APIRouter,
    app: App,
    operation: Operation,
    who: Dependency,
    *,
    for_guests: bool = False,
) -> None:
    async def endpoint(request: Request, caller: Annotated[Caller, Depends(who)]) -> Response:
        return await _perform(operation, request, caller, app)

    add = partial(
        router.add_api_route,
        operation.path,
        endpoint,
        response_class=Response,
        route_class_override=route_class(
            around(app, operation), GuestRoute if for_guests else UploadRoute
        ),
    )
    name, described = f"wherry_{operation.name}", operation.described()
    if for_guests:
        name, described = f"{name}_guest", described | {"include_in_schema": False}
    add(methods=[operation.method], name=name, **described)
    if operation.method == "GET":  # RFC 9110, section 9.3.2: HEAD is GET without the content
        add(methods=["HEAD"], name=f"{name}_head", include_in_schema=False)
