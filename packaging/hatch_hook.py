"""Compiles the catalogues of messages before a wheel, or an editable install, is made.

Hatchling runs this by itself (`[tool.hatch.build.hooks.custom]` in pyproject.toml); as a program,
`python packaging/hatch_hook.py`, it does the same for a working tree.
"""

from pathlib import Path
from typing import Any

import polib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CatalogueHook(BuildHookInterface):
    """Writes each `.po` file's `.mo` file beside it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Before anything is collected."""
        compile_catalogues(Path(self.root))


def compile_catalogues(root: Path) -> None:
    """Compile every catalogue of the tree at `root`."""
    for source in sorted(root.glob("engine/locale/*/LC_MESSAGES/*.po")):
        polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))


if __name__ == "__main__":
    compile_catalogues(Path(__file__).parent.parent)
