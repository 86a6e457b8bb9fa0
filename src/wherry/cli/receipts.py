"""`wherry receipt`: verify a receipt without a server, and show the public key of a private one."""

# No `from __future__ import annotations`: the options are read off the annotations.

import base64
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wherry.cli.engines import Json
from wherry.cli.failing import failing
from wherry.core.digests import EMPTY_CRC, Digest, crc64
from wherry.core.limits import MiB
from wherry.core.receipts import (
    PublicKey,
    Receipt,
    ReceiptInvalid,
    parse_key,
    parse_public_keys,
    verify,
)

receipt = typer.Typer(no_args_is_help=True, help="Signed receipts of complete uploads.")


def register(app: typer.Typer) -> None:
    app.add_typer(receipt, name="receipt")


@receipt.command("verify")
def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="RECEIPT", help="The file with the receipt.")],
    key: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The public keys: a PEM, or what the server answers at /receipt-keys.",
        ),
    ],
    of: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also check that this is the file of the receipt."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the signature of a receipt, and print what it says. Needs no server.

    The exit code is 1 if the receipt was changed, if another key has signed it, or if the file is
    not the one of the receipt.
    """
    with failing():
        found = verify(_text(file), parse_public_keys(_text(key)))
        checked = [] if of is None else _check_file(of, found)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    for name, value in asdict(found).items():
        typer.echo(f"{name:12}  {'-' if value is None else value}")
    checks = f"; {of} has the same {', '.join(checked)}" if checked else ""
    typer.echo(f"The signature is right{checks}.", err=True)


@receipt.command("key")
def show_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key, in PEM.")],
) -> None:
    """Print the public key of a private key in PEM, to hand it to whoever verifies receipts."""
    with failing():
        typer.echo(PublicKey(parse_key(_text(file))).pem, nl=False)


def _text(file: Path) -> str:
    """Raises `ValueError` for a file that is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text") from error


def _check_file(file: Path, receipt: Receipt) -> list[str]:
    """What was compared. Raises `ReceiptInvalid`, `OSError`."""
    crc, digest, size = EMPTY_CRC, hashlib.sha256(), 0
    with file.open("rb") as stream:
        while block := stream.read(MiB):
            crc, size = crc64(block, crc), size + len(block)
            digest.update(block)
    found = {
        "size": size,
        "crc64nvme": base64.b64encode(Digest.of_crc(crc).value).decode(),
        "sha256": digest.hexdigest(),
    }
    said = {name: value for name, value in asdict(receipt).items() if name in found and value}
    for name, value in {"size": receipt.size, **said}.items():
        if found[name] != value:
            raise ReceiptInvalid(f"{file} is not the file of this receipt: its {name} differs")
    return ["size", *(name for name in ("crc64nvme", "sha256") if name in said)]
