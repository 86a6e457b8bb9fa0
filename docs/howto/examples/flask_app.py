"""A Flask application that takes Wherry in.

SECRET_KEY=change-me uvicorn --app-dir docs/howto/examples flask_app:app
"""

import os

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, HTTPException, Request
from flask import Flask, request, session

from wherry.router import FinishedFile, chunked_upload_router

# The application as it was.

flask_app = Flask(__name__)
flask_app.secret_key = os.environ["SECRET_KEY"]

TOKENS = {"alices-token": "alice"}  # for programs; pages use the session


def current_user() -> str | None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return session.get("user") or TOKENS.get(token)


@flask_app.post("/login")
def login() -> str:
    """Your own login checks a password here."""
    session["user"] = request.get_data(as_text=True)
    return "logged in"


@flask_app.get("/")
def index() -> str:
    return f"Hello {current_user()}"


# What Wherry adds.


def owner(request: Request) -> str:
    """Run the application's own login, in a Flask context with the headers of this request."""
    with flask_app.test_request_context(headers=list(request.headers.items())):
        user = current_user()
    if user is None:
        raise HTTPException(401, "log in first")
    return user


def start_processing(file: FinishedFile) -> str:
    """Start your own processing here, and return its id."""
    with flask_app.app_context():  # for extensions that need one, such as Flask-SQLAlchemy
        return f"job-{file.id}"


app = FastAPI(openapi_url=None)
app.include_router(
    chunked_upload_router(
        owner=owner, on_complete=start_processing, data=os.environ.get("UPLOADS", "uploads")
    ),
    prefix="/api",
)
app.mount("/", WSGIMiddleware(flask_app))  # last: it answers every other address
