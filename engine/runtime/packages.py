"""Packages of other projects under this program's import names, which are general ones."""

import re
import shlex
import sys
from gettext import gettext as _
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

NAMES = ("engine", "kernels", "node_client")
_HOME = Path(__file__).parents[2]
_OURS = re.compile(rf"^({'|'.join(NAMES)})(/|\.py\b|\s*$)", re.MULTILINE)
"""One of our names where a line begins: as a package, a module, or alone in top_level.txt."""


def why_hidden() -> str | None:
    """Return what to tell the user where another package hides one of ours. Import none of them."""
    for name in NAMES:
        spec = find_spec(name)
        found = "" if spec is None else str(spec.origin)
        if not found or Path(found).resolve() != (_HOME / name / "__init__.py").resolve():
            reason = _("the package {name} is not that of cpc-engine: {found}").format(
                name=name, found=found or _("not installed")
            )
            return _("error: {error}").format(error=reason) + "\n" + advice()
    return None


def other_owners() -> list[str]:
    """Return the names of other installed projects that have files under the same import names.

    `metadata.packages_distributions` says the same, after it has made an object of every file.
    """
    found = {one.name for one in metadata.distributions() if _claims_a_name(one)}
    return sorted(found - {"cpc-engine"})


def _claims_a_name(one: metadata.Distribution) -> bool:
    listed = (one.read_text(name) for name in ("top_level.txt", "RECORD", "SOURCES.txt"))
    return _OURS.search(next(filter(None, listed), "")) is not None


def advice() -> str:
    """Return what to do where names collide."""
    return _("Install it into an environment of its own: pipx install . or uv tool install .")


def install_line(extra: str) -> str:
    """Return the command that adds what an extra of ours names, here: cpc-engine has no index."""
    told = metadata.requires("cpc-engine") or ()
    asked = (one.partition(";") for one in told)
    wanted = [what.strip() for what, _semicolon, marker in asked if f"extra == '{extra}'" in marker]
    named = " ".join(shlex.quote(one) for one in wanted)
    return f"{shlex.quote(sys.executable)} -m pip install {named}"
