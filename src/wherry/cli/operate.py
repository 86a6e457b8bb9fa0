"""The operator's commands: `sweep`, `storage`, `paths`, `keys`, `guests`, `assessments`,
`webhooks`.

They open the data folder themselves, beside a running server or without one.
"""

# No `from __future__ import annotations`: the options are read off the annotations.

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.assessments import assessments
from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.failing import failing
from wherry.cli.guests import guests
from wherry.cli.paths import paths
from wherry.cli.serving import DATA, Data, register_with_settings
from wherry.cli.sizes import size
from wherry.cli.webhooks import webhooks

if TYPE_CHECKING:
    from wherry.settings import Settings

ANONYMOUS = "`wherry serve` answers requests from this machine only, and asks for no key."
NO_KEY_LEFT = "the last one was removed, so every request is refused."

storage = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="API keys for the standalone server.")


def register(app: typer.Typer) -> None:
    register_with_settings(app, sweep)
    app.add_typer(storage, name="storage")
    register_with_settings(storage, reconcile)
    register_with_settings(storage, adopt)
    app.command()(paths)
    app.add_typer(keys, name="keys")
    app.add_typer(guests, name="guests")
    app.add_typer(assessments, name="assessments")
    app.add_typer(webhooks, name="webhooks")


def sweep(
    settings: "Settings",
    dry_run: Annotated[bool, typer.Option(help="Only print what would be deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Delete expired uploads and files that crashes left behind.

    A server does this every minute by itself. Give this command the same settings as the server,
    or set them in the environment for both.
    """
    swept = with_engine(settings, lambda engine: engine.sweep(dry_run))
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in swept]))
        return
    for item in swept:
        typer.echo(f"{item.action:8} {item.upload_id} {size(item.bytes)}")
    freed = size(sum(item.bytes for item in swept))
    typer.echo(f"{'would free' if dry_run else 'freed'} {freed} ({len(swept)} items)")


@storage.callback(invoke_without_command=True)
def show_storage(context: typer.Context, data: Data = DATA, as_json: Json = False) -> None:
    """Show the disk space: total, free, reserved and used."""
    if context.invoked_subcommand is not None:
        return
    facts = asdict(with_engine(data, lambda engine: engine.storage(OPERATOR)))
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name in ("total", "free", "reserved", "used"):
        known = facts[name] is not None
        typer.echo(f"{name:13} {size(facts[name]) if known else 'not limited (object store)'}")
    typer.echo(f"open uploads  {facts['open']}")
    typer.echo(f"waiting       {facts['waiting']}")


def reconcile(
    settings: "Settings",
    dry_run: Annotated[bool, typer.Option(help="Only print what would be ended.")] = False,
    as_json: Json = False,
) -> None:
    """End what an object store has and no record knows, if it is older than an hour.

    Crashes leave multipart uploads, which are paid for and which no listing of objects shows.
    Finished files without a record are deleted as well: after the catalog was restored from a
    backup, look with --dry-run first. Give this command the same settings as the server.
    """
    if settings.storage is None:
        typer.echo("Files are on a disk: there is nothing to reconcile. `wherry sweep` cleans up.")
        return
    found = with_engine(settings, lambda engine: engine.reconcile(dry_run))
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in found]))
        return
    for item in found:
        kind = "multipart upload" if item.multipart else "file" if item.upload_id else "probe"
        typer.echo(f"{kind:16} {item.key} {size(item.bytes) if item.bytes else ''}".rstrip())
    typer.echo(f"{'would end' if dry_run else 'ended'} {len(found)}")
    with failing():
        from wherry.core.place import Place  # noqa: PLC0415

        place = Place.parse(settings.storage)
    rules = json.dumps(place.lifecycle_rules(settings.expires_after), indent=2)
    typer.echo(f"The lifecycle rules that the bucket should have besides:\n{rules}")
    if settings.direct_uploads:
        rule = json.dumps(place.cors_rule(), indent=2)
        typer.echo(f"The CORS rule that lets browsers send parts to the bucket:\n{rule}")


def adopt(settings: "Settings") -> None:
    """Use these files with this catalog from now on, although they do not belong together.

    A server refuses to start with files of another catalog. Stop all servers first, and give this
    command the same settings. Afterwards, uploads of the catalog whose files are missing count as
    deleted, and unfinished uploads that the catalog does not know are deleted after an hour.
    `wherry storage reconcile` deletes finished files that it does not know: look with --dry-run.
    """
    if settings.storage is None and settings.database is None:
        typer.echo("The catalog is in the data folder, beside the files: there is nothing to do.")
        return
    with failing():
        from wherry.app import LEADER  # noqa: PLC0415
        from wherry.app.checking import adopt as adopt_storage  # noqa: PLC0415

        known, missing = asyncio.run(adopt_storage(settings, LEADER))
    typer.echo(f"The files in {settings.storage or settings.data} belong to this catalog now.")
    typer.echo(f"The catalog knows {known} uploads with files, of which {missing} are missing.")


@keys.command("add")
def add_key(
    name: str,
    data: Data = DATA,
    operator: Annotated[
        bool, typer.Option(help="The key may read storage, metrics and all uploads.")
    ] = False,
) -> None:
    """Create a key for NAME and print it, once."""
    with failing():
        from wherry.auth import Keys, keys_file  # noqa: PLC0415

        key = Keys(keys_file(data)).add(name, operator)
    typer.echo(key)
    typer.echo("Keep it now: only its hash is stored. Use: Authorization: Bearer KEY", err=True)


@keys.command("list")
def list_keys(data: Data = DATA) -> None:
    """List the names that have a key, with the beginning of each key's hash."""
    with failing():
        from wherry.auth import Keys, keys_file  # noqa: PLC0415

        known = Keys(keys_file(data))
        found = known.all() if known.has_file() else []
    for key in found:
        typer.echo(f"{key.owner}{' (operator)' if key.operator else ''} {key.sha256[:12]}")
    if not found:
        who = NO_KEY_LEFT if known.has_file() else ANONYMOUS
        typer.echo(f"There are no keys in {data}: {who}", err=True)
        typer.echo("`wherry keys add NAME` makes one.", err=True)


@keys.command("remove")
def remove_key(
    name: str,
    data: Data = DATA,
    begins: Annotated[
        str,
        typer.Option(
            "--hash",
            metavar="HASH",
            help="Remove only the key with this hash, as `keys list` prints it.",
        ),
    ] = "",
) -> None:
    """Remove all keys of NAME, or one of them. It takes effect at once."""
    with failing():
        from wherry.auth import Keys, keys_file  # noqa: PLC0415

        removed = Keys(keys_file(data)).remove(name, begins.lower())
        if not removed:
            which = f" whose hash begins with {begins}" if begins else ""
            raise ValueError(f"{name} has no key{which}; `wherry keys list` shows all keys")
        typer.echo(f"removed {removed}")
