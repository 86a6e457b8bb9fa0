"""How a command ends when something is wrong: one sentence, exit code 1, no traceback."""

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
    named = [f"{'.'.join(map(str, d['loc'])) or 'settings'}: {d['msg']}" for d in details]
    return "; ".join(named) or str(error)


def _exit(sentence: str) -> typer.Exit:
    typer.echo(f"wherry: {sentence}", err=True)
    return typer.Exit(1)
