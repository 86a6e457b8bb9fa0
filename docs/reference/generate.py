"""Writes the pages that the code itself holds: settings, errors, log, metrics, cli, protocols,
ingresses.

    python docs/reference/generate.py

Rule 1: every page is a pure function of the code. A test fails while a page on
disk differs from it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from logging import getLevelName
from pathlib import Path
from typing import Any, get_type_hints

import typer.main
from prometheus_client.metrics_core import Metric

from wherry.catalog.counts import Counts
from wherry.cli import app
from wherry.cli.options import default_of, metavar_of
from wherry.core import errors
from wherry.core.admission import Space
from wherry.core.errors import UploadError, every_error
from wherry.core.paths import PathSummary
from wherry.doctor.pages import SECTIONS, TABLES, filled
from wherry.events import UPLOAD, Area, Event
from wherry.events.event import COUNTED
from wherry.metrics import Metrics, Reading
from wherry.protocols import ietf, tus
from wherry.protocols.hints import HINTS
from wherry.protocols.ietf.routes import status_of as ietf_status_of
from wherry.protocols.ietf.versions import VERSIONS, Version
from wherry.protocols.operation import Operation
from wherry.protocols.problem import STATUS, Statuses
from wherry.protocols.tus.models import ALGORITHMS, EXTENSIONS
from wherry.protocols.tus.routes import status_of as tus_status_of
from wherry.settings import GROUPS, Settings

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
#: Pages of which only what is between marks is made here, from src/wherry/doctor/remedies.toml.
FIX, LETTER = "../howto/fix-the-ingress.md", "../../examples/assessment_app/INGRESS_FIX_REQUIRED.md"

SETTINGS = """\
# Settings

<!-- Made by docs/reference/generate.py. Change src/wherry/settings.py instead. -->

Each can be given in three places. The first that has it counts:

1. an argument of `chunked_upload_router(max_size="2GiB")`, or an option of
   `wherry serve --max-size 2GiB`;
2. the environment, in capitals with `WHERRY_` before it: `WHERRY_MAX_SIZE=2GiB`;
3. the default.

- `SIZE` is a number of bytes, also with a unit: `5MiB` is 5,242,880, and `5MB` is the same.
- `SECONDS` is a number: `86400`, not `1d`.
- `LIST` is separated by commas.
- `none` is no limit, or never, where that is possible. In Python it is `None`.

A name that does not exist is an error. In the environment it has no effect, and the server says so
when it starts.
"""

ERRORS = """\
# Errors

<!-- Made by docs/reference/generate.py. Change src/wherry/core/errors.py or
src/wherry/protocols/hints.py instead. -->

Every refusal is `application/problem+json` (RFC 9457):

    {"type": "…", "title": "…", "status": 409, "detail": "Bytes are missing.",
     "code": "bytes-missing", "retryable": false, "hint": "…", "missing": [[0, 5242880]]}

- `code` is what to compare with: it never changes. `detail` and `hint` are for people.
- `retryable`: the same request may succeed later.
- The facts of the third column stand beside these fields. Where `retry_after` is among them,
  it is the header `Retry-After` too, in seconds.
- Every refusal has its `code` in the header `Wherry-Error`, too. An answer with a status of 400 or
  more and without this header is not Wherry's, but comes from something in front of it.
- Only `too-large` has the status 413, with the `limit` in bytes and its `scope`: `file` for the
  whole file, `request` for the body of one request. A 413 without the header comes from a proxy:
  [send smaller chunks](../howto/fix-the-ingress.md).

| code | status | facts | retryable | what happened, and what to do |
|---|---|---|---|---|
"""

TUS = """\
# tus 1.0

<!-- Made by docs/reference/generate.py. Change src/wherry/protocols/tus or
tests/protocols/test_tus*.py instead. -->

[The protocol](https://tus.io/protocols/resumable-upload) at `/files/` of `wherry serve`, or where
an application includes `tus_router`. [How to use it](../howto/move-from-tusd.md).

## Requests

| method | address | what it does |
|---|---|---|
{requests}

Extensions: {extensions}.
The length may come later only where `max_size` is set, because that much space is reserved until it
is known. `checksum-trailer` is offered where the server shows trailers to Wherry: by `wherry
serve`, and under `LaneProtocol`. nginx and other proxies drop them: then the request is refused,
because its bytes cannot be checked. All algorithms are computed for it, so a checksum in a header
costs less.

Algorithms of `Upload-Checksum`: {algorithms}.

## Answers

Every answer has `Tus-Resumable` and `Tus-Version`. `Wherry-Assessment` is what `on_complete` has
returned, or the identifier of Wherry's own assessment, once the upload is complete. Refusals are
problem+json, [as everywhere](errors.md). Their statuses are those of the chunked API but for these:

| code | status |
|---|---|
{statuses}

## What the protocol requires, and what shows it

Each is shown by a test in `tests/protocols/test_tus*.py` or `tests/server/test_tus_on_the_wire.py`.

| part | requirement | test |
|---|---|---|
{requirements}
"""

IETF = """\
# Resumable uploads of the IETF

<!-- Made by docs/reference/generate.py. Change src/wherry/protocols/ietf or the tests of it
instead. -->

[The drafts](https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/) from
-01 to -12. [How to use them](../howto/upload-from-ios.md).

## Requests

At the address of ordinary uploads, `/api/chunked-upload/upload` (`/api/upload` at `wherry serve`):

| method | address | what it does |
|---|---|---|
{requests}

The same stands where `tus_router` does (`/files/` at `wherry serve`), for requests without
`Tus-Resumable` that have `Upload-Complete`, `Upload-Incomplete` or `Upload-Draft-Interop-Version`.
Every upload can be reached at each of these addresses, in whichever protocol it has begun.

The length may be unknown at first only where `max_size` is set, because that much space is reserved
until it is known.

## Versions

`PATCH` needs the type `application/partial-upload` in some versions. Bytes beyond the length are
refused in all of them, and cancel the upload in some.

| interop version | drafts | field | type needed | lifetime in `Upload-Limit` | cancels |
|---|---|---|---|---|---|
{versions}

## Answers

An upload that is complete has the answer of an ordinary upload: JSON with `upload_id`,
`assessment_id`, `state` and `size`. Refusals are problem+json, [as everywhere](errors.md). Their
statuses are those of the chunked API but for these:

| code | status |
|---|---|
{statuses}

Where a 104 was sent, a refusal that may pass later is no answer: the connection is dropped, because
some clients ask for the offset only then.

## What the drafts require, and what shows it

The sections are those of draft -11. Each requirement is shown by a test in
`tests/protocols/test_ietf.py` or `tests/server/test_ietf_connections.py`.

| section | requirement | test |
|---|---|---|
{requirements}
"""

LIMITS = """
## Limits and their statuses

There is no scope `quota`: no quota answers 413. Clients send smaller chunks after a 413, and that
helps against none of them. 429 and 503 say when to come back, 507 that the operator has to give
space, 403 that the ticket's owner decides.

| limit of | set by | answer |
|---|---|---|
"""

#: What is limited, where that is set, and the errors beyond it.
LIMITED_BY: Sequence[tuple[str, str, Sequence[type[UploadError]]]] = (
    ("one file", "`max_size`; a guest ticket's size", (errors.TooLarge,)),
    ("the body of one request", "`max_chunk`; 64 KiB for JSON", (errors.TooLarge,)),
    (
        "open uploads, of all and of an owner",
        "`max_open`, `max_open_per_owner`",
        (errors.Queued,),
    ),
    (
        "space for unfinished uploads, of all and of an owner, if it is used up at the moment",
        "`max_reserved`, `max_reserved_per_owner`, `min_free`",
        (errors.Queued,),
    ),
    ("the same, if the file is larger than all of it", "the same", (errors.NeverFits,)),
    ("the queue, and requests that cannot wait in it", "`max_waiting`", (errors.NoRoom,)),
    (
        "what an owner does in a time",
        "`rate_uploads`, `rate_bytes`, `rate_requests`",
        (errors.RateLimited,),
    ),
    ("the files of a guest ticket", "the ticket", (errors.TicketUsedUp,)),
    ("requests that a process works on", "`max_requests`", (errors.Overloaded,)),
    ("the disk; the object store, its own quota included", "–", (errors.DiskFull,)),
    ("a quota of the file system", "–", (errors.StorageFailed,)),
)

METRICS = """\
# Metrics

<!-- Made by docs/reference/generate.py. Change src/wherry/metrics.py instead. -->

`GET /metrics` of the server, and `GET …/chunked-upload/metrics` of the router, for operators:
Prometheus' text format. [How to watch](../howto/watch.md).

- **Gauges** are read from the catalog and the disk as they are asked for: the same whichever
  process answers. What is finished is not counted there: it may be a million records.
- **Counters and histograms** are of the process that answers, since it started; the label
  `process`, `host:pid`, names it. Each event of [the log](log.md) is counted by the call that
  logs it, also where the log's level leaves it out.
- Every series is there from the first scrape on, at 0. Bytes and seconds, no other units.

| metric | type | labels | what it is |
|---|---|---|---|
"""

LOG = """\
# The log

<!-- Made by docs/reference/generate.py. Change src/wherry/events/event.py instead. -->

One line for each event: `event key=value key=value …`. Values with blanks stand in double quotes,
as in JSON. The loggers are `wherry` and those below it. `wherry serve` writes to stderr, with time
and level before the line. In your own application, you configure logging yourself.

With `--log-format json`, each line is one JSON object: `time`, `level`, `logger`, `event`, and the
keys below with their values; `message` in place of `event` for lines of other libraries, and
`traceback` where there is one. In your own application, each record has the event and its keys as
its attribute `wherry`, a dictionary. `--log-level debug` adds the events of that level.

- `upload_id`, `owner` and `bytes` (the full size of the upload) are the keys of every event about
  one upload.
- `request_id` is in every line that a request caused. It is the `X-Request-ID` of the answer.
- The [metrics](metrics.md) count every event of the sections Uploads, Trouble, Webhooks and The
  worker as `wherry_events_total`. The last column names what else they record.
"""

#: What stands above the events of an area.
AREAS = {
    Area.UPLOADS: "The logger is `wherry`.",
    Area.TROUBLE: """\
The logger is `wherry`. An event that is marked with ¹ may come back every second, for example
while a disk gives errors. It is logged and counted once a minute for as long as that lasts.""",
    Area.WEBHOOKS: """\
What came of each attempt to send a [webhook](../howto/webhooks.md), in the process that sends them.
The logger is `wherry`. `url` has no path, which is a secret with many services.""",
    Area.WORKER: "What the server says of its worker. The logger is `wherry`.",
    Area.SERVER: """\
The logger is `wherry`. At the start, there are also warnings in a sentence each: about the volume
([which](../howto/limits-and-disk-space.md#which-volume)), and about anonymous access.

Without the packages for it (info):
`finished files are not assessed: pip install 'wherry[assessment]' adds that`.""",
    Area.ASSESSMENTS: "What the worker itself logs. The logger is `wherry.assessment`.",
}

CATALOG = """
## The catalog

The logger is `wherry.catalog`. It logs sentences, not events:

| sentence | level | what it means |
|---|---|---|
| `the catalog could not record … changes: …` | error | The requests that made them were refused. |
| `the disk is full: only changes that free space are recorded until there is room` | error | |
| `the disk has room again: all changes are recorded` | warning | |
| `the catalog's log could not be written back: …` | warning | It is tried again. |
"""

CLI = """\
# The command line

<!-- Made by docs/reference/generate.py. Change src/wherry/cli instead. -->

`wherry COMMAND --help` says the same. Sizes are bytes, or digits with a unit: `5MiB`
(`5MB` is the same). Results go to stdout, everything else to stderr. Exit codes: 0 it is done,
1 it is not, 2 the command, or a setting, is written wrongly, 3 the server requires another login or
key, 4 the server was not reached, or has a problem of its own, 130 stopped by Ctrl-C.

`upload`, `report`, `status`, `cancel` and `doctor` talk to a server, and `top` does if it gets an
address. The others open the data folder themselves, on the machine where it is, beside a running
server or without one.
"""


def render_settings() -> str:
    lines = [SETTINGS]
    for group, names in GROUPS.items():
        lines += [
            f"## {group}",
            "",
            "| setting | what it is | value | default |",
            "|---|---|---|---|",
        ]
        lines += [_setting(name) for name in names]
        lines.append("")
    return "\n".join(lines)


def _setting(name: str) -> str:
    description = Settings.model_fields[name].description
    value = metavar_of(name).replace("|", "` or `")
    return f"| `{name}` | {description} | `{value}` | {default_of(name)} |"


def render_errors() -> str:
    rows = sorted(every_error(), key=lambda error: (STATUS[error], error.code))
    limits = "".join(_limit(*each) for each in LIMITED_BY)
    return ERRORS + "".join(_error(error) for error in rows) + LIMITS + limits


def _limit(what: str, where: str, answers: Sequence[type[UploadError]]) -> str:
    answer = ", or ".join(f"{STATUS[error]} `{error.code}`" for error in answers)
    return f"| {what} | {where} | {answer} |\n"


def _error(error: type[UploadError]) -> str:
    names = [field.name for field in fields(error)]  # type: ignore[arg-type]
    facts = ", ".join(f"`{name}`" for name in names)
    told = f"{_sample(error)} *{HINTS[error]}*"
    retryable = "yes" if error.retryable else "no"
    return f"| `{error.code}` | {STATUS[error]} | {facts} | {retryable} | {told} |\n"


def _sample(error: type[UploadError]) -> UploadError:
    """One whose facts are their own names, to be read in its sentence."""
    hints = get_type_hints(error)
    facts: dict[str, Any] = {}
    for field in fields(error):  # type: ignore[arg-type]
        told = f"‹{field.name}›"
        facts[field.name] = (told,) if "tuple" in str(hints[field.name]) else told
    return error(**facts)


def render_metrics() -> str:
    return METRICS + "".join(_metric(family) for family in _families())


def _families() -> Iterator[Metric]:
    path = PathSummary("host", 1, 0.0, 1, 0.0, None, 1, False, False, None)
    reading = Reading(0.0, Counts(), Space(0, 0), min_free=0, max_open=None, paths=(path,))
    return Metrics().collect(reading)


def _public_name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _metric(family: Metric) -> str:
    labels: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            known = labels.setdefault(label, [])
            if label not in ("le", "process", "version", "host") and value not in known:
                known.append(value)
    told = ", ".join(f"`{label}`{_values(values)}" for label, values in labels.items())
    return f"| `{_public_name(family)}` | {family.type} | {told} | {family.documentation} |\n"


def _values(values: list[str]) -> str:
    return f" ({', '.join(values)})" if 0 < len(values) < 8 else ""


def render_log() -> str:
    return LOG + "".join(_area(area) for area in Area) + CATALOG


def _area(area: Area) -> str:
    head = f"""
## {area.value}

{AREAS[area]}

| event | level | what happened | keys | metrics |
|---|---|---|---|---|
"""
    return head + "".join(_event(event) for event in Event if event.about.area is area)


def _event(event: Event) -> str:
    about = event.about
    facts, mark = about.facts, "¹" if about.repeats else ""
    if facts[: len(UPLOAD)] == UPLOAD:
        facts = ("those of an upload", *(f"`{name}`" for name in facts[len(UPLOAD) :]))
    else:
        facts = tuple(f"`{name}`" for name in facts)
    level = getLevelName(about.level).lower()
    names = {family.name: _public_name(family) for family in _families()}
    fed = ", ".join(
        f"`{names[f'wherry_{feed.metric}']}`" for feed in about.feeds if feed != COUNTED
    )
    cells = f"{level} | {about.meaning} | {', '.join(facts)} | {fed}"
    return f"| `{event.label}`{mark} | {cells} |\n".replace("|  |", "| |")


def render_ietf() -> str:
    tests = (TESTS / "protocols" / "test_ietf.py", TESTS / "server" / "test_ietf_connections.py")
    return IETF.format(
        requests="\n".join(
            f"| {each.method} | `{each.path.removeprefix('/upload') or '/'}` | {_what(each)} |"
            for each in ietf.ROUTES
        ),
        versions="\n".join(map(_version, VERSIONS.values())),
        statuses=_differing(ietf_status_of),
        requirements="\n".join(sorted(row for test in tests for row in _marked("ietf", test))),
    )


def _version(version: Version) -> str:
    cells = (
        version.number,
        version.drafts,
        f"`{version.completeness}`",
        "yes" if version.needs_type else "no",
        f"`{version.lifetime}`",
        "yes" if version.ends_beyond else "no",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _what(operation: Operation) -> str:
    return operation.summary.partition(": ")[2]


def _differing(statuses: Statuses) -> str:
    """A row for each refusal that has another status in a protocol than elsewhere."""
    rows = sorted((e.code, statuses(e)) for e in every_error() if statuses(e) != STATUS[e])
    return "\n".join(f"| `{code}` | {status} |" for code, status in rows)


def render_tus() -> str:
    at_wire = TESTS / "server" / "test_tus_on_the_wire.py"
    tests = (*(TESTS / "protocols").glob("test_tus*.py"), at_wire)
    return TUS.format(
        requests="\n".join(
            f"| {each.method} | `{each.path}` | {_what(each)} |"
            for each in tus.ROUTES
            if each.is_shown
        ),
        extensions=", ".join(EXTENSIONS),
        algorithms=", ".join(ALGORITHMS),
        statuses=_differing(tus_status_of),
        requirements="\n".join(sorted(row for test in tests for row in _marked("tus", test))),
    )


def _marked(mark: str, path: Path) -> Iterator[str]:
    """A row for each mark on a test: its arguments and the test's name."""
    for test in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            for call in test.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == mark:
                    words = " | ".join(ast.literal_eval(each) for each in call.args)
                    yield f"| {words} | `{test.name}` |"


def render_cli() -> str:
    return CLI + "".join(_command(name, command) for name, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that is shown, with its words: `wherry keys add`."""
    yield from _below("wherry", typer.main.get_command(app))


def _below(words: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(f"{words} {name}", command)
        elif not command.hidden:
            yield f"{words} {name}", command


def _command(words: str, command: Any) -> str:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    options = [p for p in command.params if p.opts[0].startswith("-")]
    settings = [p for p in options if p.name in Settings.model_fields]
    has_settings = len(settings) > 5
    shown = " ".join(_argument(p) for p in arguments)
    usage = " ".join(part for part in (words, shown, "[OPTIONS]" * bool(options)) if part)
    text = f"\n## {words}\n\n    {usage}\n\n{re.sub(chr(10) + ' *', chr(10), command.help)}\n"
    rows = [(f"`{_argument(p)}`", p.help or "") for p in arguments]
    rows += [_option(p) for p in options if not (has_settings and p in settings)]
    if has_settings:
        rows.append(("every [setting](settings.md)", "`max_size` is `--max-size`, and so on"))
    table = "".join(f"| {name} | {what} |\n" for name, what in rows)
    return text + (f"\n| | |\n|---|---|\n{table}" if rows else "")


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return f"{name}..." if argument.nargs == -1 else name


def _option(option: Any) -> tuple[str, str]:
    names = "`, `".join([*option.opts, *option.secondary_opts])
    value = (
        "" if option.is_flag else f" {option.metavar or option.name.upper().removeprefix('AS_')}"
    )
    said = (option.help or "").rstrip(".")
    facts = []
    if option.envvar:
        facts.append(f"environment: `{option.envvar}`")
    if option.default not in (None, False):
        default = option.opts[0] if option.default is True else option.default
        facts.append(f"default: `{default}`")
    more = f" ({'; '.join(facts)})" if facts else ""
    return f"`{names}{value}`", said + more


def _page(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


PAGES = {
    "settings.md": render_settings,
    "errors.md": render_errors,
    "log.md": render_log,
    "metrics.md": render_metrics,
    "cli.md": render_cli,
    "tus.md": render_tus,
    "ietf.md": render_ietf,
    FIX: lambda: filled(_page(FIX), {name: render() for name, render in TABLES.items()}),
    LETTER: lambda: filled(_page(LETTER), {name: render() for name, render in SECTIONS.items()}),
}


def main() -> None:
    for name, render in PAGES.items():
        (HERE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
