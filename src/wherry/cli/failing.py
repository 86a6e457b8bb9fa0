"""How a command ends when something is wrong: one sentence on stderr, no traceback.

The exit code is 1, or 2 where the command or a setting is written wrongly; 3 where the server wants
another login or key; 4 where it was not reached, or had a problem of its own, so that the same
command may succeed later. Ctrl-C ends a command with 130, as shells report it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

WRONG_USAGE, NO_ACCESS, TRY_LATER = 2, 3, 4

#: By the names of the client's errors: the client may not be installed with the server's commands.
EXIT_CODES = {"Unauthorized": NO_ACCESS} | dict.fromkeys(
    ("NotConnected", "ConnectionLost", "TimedOut", "GaveUp", "ServerFailed", "NoRoom"), TRY_LATER
)

EXTRAS = "this command needs more than the client: pip install 'wherry[server,assessment]'"


@contextmanager
def failing(code: int = 1) -> Iterator[None]:
    """`code`: the exit code of what is not a wrong setting, which is always 2."""
    try:
        yield
    except typer.Exit:  # a RuntimeError, too
        raise
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ModuleNotFoundError as error:
        raise _exit(f"{EXTRAS} ({error.name} is not installed)", 1) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _exit(sentence_of(error), WRONG_USAGE if _wrong_settings(error) else code) from error
    except Exception as error:
        if type(error).__module__.startswith("wherry."):
            raise _exit(str(error), exit_code_of(error, code)) from error
        raise


def exit_code_of(error: Exception, usual: int = 1) -> int:
    return EXIT_CODES.get(type(error).__name__, usual)


def sentence_of(error: Exception) -> str:
    """Each wrong setting with its name and the reason; else the error's own words."""
    named = [
        f"{'.'.join(map(str, detail['loc'])) or 'settings'}: {_why(detail)}"
        for detail in _wrong_settings(error)
    ]
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return "; ".join(named) or str(error)


def _wrong_settings(error: Exception) -> list[dict[str, Any]]:
    """The details of pydantic's `ValidationError`, which a client does not have; else none."""
    details: list[dict[str, Any]] = getattr(error, "errors", list)()
    return details


def _why(detail: dict[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such setting"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    message = str(detail["msg"]).partition(", unable to parse")[0]
    return message.replace("Input should be", f"{detail['input']!r} is not")


def _exit(sentence: str, code: int) -> typer.Exit:
    typer.echo(f"wherry: {sentence}", err=True)
    return typer.Exit(code)
