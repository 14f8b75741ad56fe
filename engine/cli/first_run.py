"""The first run: three answers become a key and an `engine.toml`.

answers = Answers(node="http://localhost:8000", key="worker", devices=("auto",))
write_settings(path, answers)
"""

import json
import os
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from engine.runtime.errors import BadInput


@dataclass(frozen=True, slots=True)
class Answers:
    """What the operator said. `keys_dir` is None where the usual directory holds the key."""

    node: str
    key: str
    devices: tuple[str, ...]
    keys_dir: Path | None = None


def prepare(path: Path) -> None:
    """Make the directory. Raises BadInput where the file is there: it is never overwritten."""
    if os.path.lexists(path):
        raise BadInput(
            _("{path} is there already, and is never overwritten").format(path=path),
            advice=_("Change it with an editor (cpc-engine config show), or move it away."),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_settings(path: Path, answers: Answers) -> None:
    """Write the file, whole or not at all. Raises BadInput."""
    prepare(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_document(answers))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        _("{path} cannot be written: {reason}").format(path=path, reason=error.strerror),
        advice=_("Name another file with --config."),
    )


def _document(answers: Answers) -> str:
    lines = [
        "# " + _("Settings of cpc-engine: names are those of the options, without the hyphens."),
        "# " + _("What stands on top is for every command, a table for one: [mine], [tx.send]."),
        "# " + _("What is set, and where: cpc-engine config show. No secrets in here."),
        "",
        f"node = [{_quoted(answers.node)}]",
        f"from = {_quoted(answers.key)}",
    ]
    if answers.keys_dir is not None:
        lines.append(f"keys-dir = {_quoted(str(answers.keys_dir))}")
    devices = ", ".join(map(_quoted, answers.devices))
    return "\n".join([*lines, "", "[mine]", f"device = [{devices}]", ""])


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
