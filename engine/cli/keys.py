"""`cpc-engine keys`: the key files that this program and cpc-cli share."""

import os
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.config.completion import completer
from engine.cli.config.groups import with_options
from engine.cli.options import Json, KeyFiles, KeysDirectory, command_group, say, say_json
from engine.cli.table import say_table

if TYPE_CHECKING:
    from node_client.keystore import KeyInfo

app = command_group(_("Make, import and show keys."))

LONGEST_LINE = 4096
"""Bytes of a line that holds a key."""
Name = Annotated[str, typer.Argument(help=_("Name of the key."), autocompletion=completer("KEY"))]
Encrypted = Annotated[
    bool,
    typer.Option(
        "--encrypt",
        help=_(
            "Encrypt the file (scrypt, AES-GCM) with a passphrase. cpc-cli cannot sign with it then."
        ),
    ),
]

_CPC_CLI = _("It is encrypted: cpc-cli shows this key, and crashes when it has to sign with it.")


@app.command()
@with_options
def add(name: Name, files: KeyFiles, encrypt: Encrypted = False, json: Json = False) -> None:
    """Make a new key."""
    info = files.keystore().create(name, files.new_passphrase(encrypt))
    _tell(_("Key '{name}' created."), info, json)


@app.command("import")
@with_options
def import_(
    name: Name,
    files: KeyFiles,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help=_("File with the private key in hex, - for standard input. [ask for it]")
        ),
    ] = None,
    encrypt: Encrypted = False,
    json: Json = False,
) -> None:
    """Import a private key: never as an argument, which every user of the machine could read."""
    from node_client.keys import PrivateKey

    key = PrivateKey.from_hex(_read_secret(key_file))
    info = files.keystore().add(name, key, files.new_passphrase(encrypt))
    _tell(_("Key '{name}' imported."), info, json)


@app.command("list")
@with_options
def list_(files: KeysDirectory, json: Json = False) -> None:
    """List the keys."""
    entries = files.keystore().entries()
    if json:
        say_json([entry.to_json() for entry in entries])
        return
    rows = [
        [entry.name, entry.address, _("encrypted") if entry.encrypted else ""] for entry in entries
    ]
    say_table([_("name"), _("address"), ""], rows)
    if not entries:
        say(_("No keys yet. Make one: cpc-engine keys add worker"))


@app.command()
@with_options
def show(name: Name, files: KeysDirectory, json: Json = False) -> None:  # noqa: ARG001
    """Show a key's public parts, as JSON."""
    info = files.keystore().info(name)
    say_json(info.to_json())
    for warning in info.warnings:
        typer.echo(_("warning: {warning}").format(warning=warning), err=True)


@app.command()
@with_options
def encrypt(name: Name, files: KeyFiles, json: Json = False) -> None:
    """Encrypt a key file that is in the clear. cpc-cli shows it then, and crashes when it signs."""
    info = files.keystore().encrypt(name, files.new_passphrase(True) or "")
    if json:
        say_json(info.to_json())
        return
    say(_("Key '{name}' encrypted.").format(name=name))
    say(_CPC_CLI)


def _tell(done: str, info: "KeyInfo", json: bool) -> None:
    if json:
        say_json({"name": info.name, "address": info.address, "public_key": info.public_key})
        return
    say(done.format(name=info.name))
    say(f"Address: {info.address}")  # these two as cpc-cli has them, for scripts, in every language
    say(f"Pubkey:  {info.public_key}")
    if info.encrypted:
        say(_CPC_CLI)


def _read_secret(file: Path | None) -> str:
    """Return the private key's text: of a file, of standard input, or typed where it is a terminal."""
    import getpass
    import sys

    from engine.runtime.errors import BadInput

    if file is not None and str(file) != "-":
        return _hex_of(_first_line(file))
    if file is None and sys.stdin is not None and sys.stdin.isatty():
        return _hex_of(getpass.getpass(_("Private key (64 hex digits, not shown): ")).encode())
    text = sys.stdin.buffer.readline(LONGEST_LINE) if sys.stdin is not None else b""
    if not text.strip():
        raise BadInput(
            _("there is no private key on standard input"),
            advice=_("Name its file with --key-file FILE, or type it at a terminal."),
        )
    return _hex_of(text)


def _first_line(file: Path) -> bytes:
    from engine.runtime.errors import BadInput
    from node_client.private_file import advice_for, exposure_of

    try:
        with file.open("rb") as lines:
            if exposed := exposure_of(os.fstat(lines.fileno()), file):
                raise BadInput(
                    _("not imported: {exposed}").format(exposed=exposed), advice=advice_for(file)
                )
            return lines.readline(LONGEST_LINE)
    except OSError as error:
        raise BadInput(
            _("the key file {file} cannot be read: {reason}").format(
                file=file, reason=error.strerror
            )
        ) from None


def _hex_of(line: bytes) -> str:
    """Return the digits alone: without a byte order mark, white space, and 0x."""
    digits = line.decode("utf-8-sig", "replace").strip()
    return digits[2:] if digits[:2] in ("0x", "0X") else digits
