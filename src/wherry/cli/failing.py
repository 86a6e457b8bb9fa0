"""How a command ends when something is wrong: one sentence, exit code 1, no traceback.

Ctrl-C ends it with 130, as shells report it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

EXTRAS = "this command needs more than the client: pip install 'wherry[server,assessment]'"


@contextmanager
def failing() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ModuleNotFoundError as error:
        raise _exit(f"{EXTRAS} (there is no {error.name})") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _exit(sentence_of(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("wherry."):
            raise _exit(str(error)) from error
        raise


def sentence_of(error: Exception) -> str:
    """Of settings, each that is wrong by its name and why; else the error's own words."""
    details: list[dict[str, Any]] = getattr(error, "errors", list)()
    named = [f"{'.'.join(map(str, d['loc'])) or 'settings'}: {_why(d)}" for d in details]
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return "; ".join(named) or str(error)


def _why(detail: dict[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such setting"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    message = str(detail["msg"]).partition(", unable to parse")[0]
    return message.replace("Input should be", f"{detail['input']!r} is not")


def _exit(sentence: str) -> typer.Exit:
    typer.echo(f"wherry: {sentence}", err=True)
    return typer.Exit(1)
