"""`cpc-engine keys`: the key files that this program and cpc-cli share."""

from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import Json, KeysDirectory, PassphraseFile, keystore, say, say_json

app = typer.Typer(
    help=_("Make, import and show keys."), no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(help=_("Name of the key."))]
Encrypted = Annotated[
    bool, typer.Option("--encrypt", help=_("Encrypt the file (scrypt, AES-GCM) with a passphrase."))
]


@app.command()
def add(
    name: Name,
    encrypt: Encrypted = False,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    json: Json = False,
) -> None:
    """Make a new key."""
    info = keystore(keys_dir).create(name, _new_passphrase(encrypt, passphrase_file))
    _tell(_("Key '{name}' created."), name, info.address, info.public_key, json)


@app.command("import")
def import_(
    name: Name,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help=_("File with the private key in hex, - for standard input. [ask for it]")
        ),
    ] = None,
    encrypt: Encrypted = False,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    json: Json = False,
) -> None:
    """Import a private key: never as an argument, which every user of the machine could read."""
    from node_client.keys import PrivateKey

    key = PrivateKey.from_hex(_read_secret(key_file))
    info = keystore(keys_dir).add(name, key, _new_passphrase(encrypt, passphrase_file))
    _tell(_("Key '{name}' imported."), name, info.address, info.public_key, json)


@app.command("list")
def list_(keys_dir: KeysDirectory = None, json: Json = False) -> None:
    """List the keys."""
    entries = keystore(keys_dir).entries()
    if json:
        say_json([entry.to_json() for entry in entries])
        return
    for entry in entries:
        say(
            f"{entry.name:<16} {entry.address}  {_('encrypted') if entry.encrypted else ''}".rstrip()
        )
    if not entries:
        say(_("No keys yet. Make one: cpc-engine keys add worker"))


@app.command()
def show(name: Name, keys_dir: KeysDirectory = None, json: Json = False) -> None:  # noqa: ARG001
    """Show a key's public parts, as JSON."""
    info = keystore(keys_dir).info(name)
    say_json(info.to_json())
    for warning in info.warnings:
        typer.echo(_("warning: {warning}").format(warning=warning), err=True)


@app.command()
def encrypt(
    name: Name,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    json: Json = False,
) -> None:
    """Encrypt a key file that is in the clear. cpc-cli cannot read it afterwards."""
    info = keystore(keys_dir).encrypt(name, _new_passphrase(True, passphrase_file) or "")
    if json:
        say_json(info.to_json())
        return
    say(_("Key '{name}' encrypted.").format(name=name))


def _tell(done: str, name: str, address: str, public_key: str, json: bool) -> None:
    if json:
        say_json({"name": name, "address": address, "public_key": public_key})
        return
    say(done.format(name=name))
    say(f"Address: {address}")  # these two as cpc-cli has them, for scripts, in every language
    say(f"Pubkey:  {public_key}")


def _new_passphrase(wanted: bool, file: Path | None) -> str | None:
    if not wanted:
        return None
    from node_client.passphrase import new_passphrase

    return new_passphrase(file)


def _read_secret(file: Path | None) -> str:
    import getpass
    import sys

    from engine.runtime.errors import BadInput

    if file is None:
        return getpass.getpass(_("Private key (64 hex digits, not shown): ")).strip()
    if str(file) == "-":
        return sys.stdin.readline().strip()
    try:
        with file.open(encoding="ascii") as lines:
            return lines.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else _("it is no text")
        raise BadInput(
            _("the key file {file} cannot be read: {reason}").format(file=file, reason=reason)
        ) from None
