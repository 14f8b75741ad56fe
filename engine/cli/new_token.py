"""Where a new token goes: to the terminal, or to a file that only its owner reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

import typer

from engine.cli.new_file import write_new_file
from engine.cli.options import say, say_json
from engine.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class TokenOut:
    """Where a new token goes."""

    new_token_file: Path | None = setting(
        None, _("Write the token to this new file, which nobody else can read. [print it]")
    )

    @contextmanager
    def receiving(self) -> "Iterator[TokenOut]":
        """Take the file's name first: a token that cannot be kept is not made. Raises BadInput."""
        from node_client.secret import Secret

        if self.new_token_file is None:
            yield self
            return
        refusal = _("the token cannot be written to {path}: {reason}")
        write_new_file(self.new_token_file, Secret(b""), refusal)
        try:
            yield self
        except BaseException:
            self.new_token_file.unlink(missing_ok=True)
            raise

    def tell(self, name: str, token: str, json: bool) -> None:
        """Hand the customer's token over, once."""
        from node_client.secret import Secret
        from node_client.whole_files import replace_whole

        if self.new_token_file is not None:
            replace_whole(self.new_token_file, Secret(f"{token}\n".encode()))
            if json:
                say_json({"name": name, "token_file": str(self.new_token_file)})
            else:
                said = _("{name}'s token is in {path}. It is not stored anywhere else.")
                say(said.format(name=name, path=self.new_token_file))
        elif json:
            say_json({"name": name, "token": token})
        else:
            say(token)
            # On stderr, so that `> alice.token` stores the token only.
            said = _("This is {name}'s token. It is not stored and will not be shown again.")
            typer.echo(said.format(name=name), err=True)
