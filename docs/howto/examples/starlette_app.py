"""A Starlette application that takes Wherry in.

SECRET_KEY=change-me uvicorn --app-dir docs/howto/examples starlette_app:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from wherry.router import FinishedFile, chunked_upload_router

# The application as it was.

TOKENS = {"alices-token": "alice"}  # for programs; pages use the session


def current_user(connection: HTTPConnection) -> str | None:
    token = connection.headers.get("authorization", "").removeprefix("Bearer ")
    return connection.session.get("user") or TOKENS.get(token)


async def login(request: Request) -> Response:
    """Your own login checks a password here."""
    request.session["user"] = (await request.body()).decode()
    return PlainTextResponse("logged in")


# What Wherry adds.


def owner(request: Request) -> str:
    user = current_user(request)
    if user is None:
        raise HTTPException(401, "log in first")
    return user


def start_processing(file: FinishedFile) -> str:
    """Start your own processing here, and return its id."""
    return f"job-{file.id}"


uploads = FastAPI(openapi_url=None)
uploads.include_router(
    chunked_upload_router(
        owner=owner, on_complete=start_processing, data=os.environ.get("UPLOADS", "uploads")
    )
)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with uploads.router.lifespan_context(uploads):  # Starlette does not run a mount's own
        yield


app = Starlette(
    routes=[Route("/login", login, methods=["POST"]), Mount("/api", uploads)],
    middleware=[Middleware(SessionMiddleware, secret_key=os.environ["SECRET_KEY"])],
    lifespan=lifespan,
)
