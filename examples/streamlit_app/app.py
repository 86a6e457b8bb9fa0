"""Streamlit and Wherry in one server: uvicorn app:app"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import streamlit as st
from fastapi import FastAPI, Header, HTTPException
from starlette.routing import Mount
from wherry.router import FinishedFile, chunked_upload_router

import library


def owner(authorization: Annotated[str, Header()] = "") -> str:
    user = library.user_of(authorization.removeprefix("Bearer "))
    if user is None:
        raise HTTPException(401, "reload the page")
    return user


def keep(file: FinishedFile) -> str:
    """Called when all bytes are there: at least once, and never twice at the same time."""
    library.add(file.id, file.owner, file.path)
    return file.id


uploads = FastAPI(openapi_url=None)
uploads.include_router(
    chunked_upload_router(owner=owner, on_complete=keep, data=library.DATA / "uploads")
)


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    async with uploads.router.lifespan_context(uploads):  # a mounted application's does not run
        yield


app = st.App("page.py", routes=[Mount("/api", uploads)], lifespan=lifespan)
