"""A new file of a command, which nobody else can read."""

from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node_client.secret import Secret


def write_new_file(path: Path, content: "Secret[bytes]", refusal: str) -> None:
    """Write it, or raise BadInput: `refusal` is the sentence, with {path} and {reason}."""
    from engine.runtime.errors import BadInput, reason_of
    from node_client.whole_files import write_new

    try:
        write_new(path, content)
    except OSError as error:
        raise BadInput(
            refusal.format(path=path, reason=reason_of(error)),
            advice=_("Name a file that does not exist yet, in a directory of yours."),
        ) from None
