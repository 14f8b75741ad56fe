"""A table of plain text, with a header, as wide as its cells: for `list` commands.

say_table([_("name"), _("credit, CPC")], [["alice", "12.5"]], right={1})
"""

from collections.abc import Collection, Sequence

from engine.cli.options import say


def say_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()
) -> None:
    """Print the rows under their heads; the columns `right` stand at the right. Nothing for none."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())
