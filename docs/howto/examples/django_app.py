"""A Django application that takes Wherry in.

Its `asgi.py`, with the rest of a project in front so that it runs by itself:

SECRET_KEY=change-me uvicorn --app-dir docs/howto/examples django_app:application
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

# The project as it was: settings.py, urls.py and views.py of your own stand for this part.

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", "db.sqlite3"),
        }
    },
)
django_app = get_asgi_application()  # before anything that imports your models

from django.contrib.auth import authenticate, get_user, login  # noqa: E402
from django.db import close_old_connections  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from fastapi import FastAPI, HTTPException, Request  # noqa: E402

from wherry.router import FinishedFile, chunked_upload_router  # noqa: E402

TOKENS = {"alices-token": 1}  # for programs; pages use the session


def log_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, **request.POST.dict())
    if user is None:
        return HttpResponse("wrong name or password", status=401)
    login(request, user)
    return HttpResponse("logged in")


urlpatterns = [path("login", log_in)]


# What Wherry adds.


@contextmanager
def database() -> Iterator[None]:
    """Close the thread's connections afterwards: no request of Django's ends here to do it."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def owner(request: Request) -> int:
    """The user of Django's session, or of a token."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token in TOKENS:
        return TOKENS[token]
    django_request = HttpRequest()
    sessions = import_module(settings.SESSION_ENGINE)
    django_request.session = sessions.SessionStore(
        request.cookies.get(settings.SESSION_COOKIE_NAME)
    )
    with database():
        user = get_user(django_request)
    if not user.is_authenticated:
        raise HTTPException(401, "log in first")
    return user.pk


def start_processing(file: FinishedFile) -> str:
    """Start your own processing here, and return its id."""
    with database():
        return f"job-{file.id}"


application = FastAPI(openapi_url=None)
application.include_router(
    chunked_upload_router(
        owner=owner, on_complete=start_processing, data=os.environ.get("UPLOADS", "uploads")
    ),
    prefix="/api",
)
application.mount("/", django_app)  # last: it answers every other address
