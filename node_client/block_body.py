"""The bytes of GET /block/H, read within bounds of memory and time whatever they are.

    block = read_block(body)

A block has no largest size: a proof of 9 MB got into one, at the price of a small one. What is larger
than the bound here comes condensed (`condense.py`), without its largest transactions, and what has
too many values is condensed here; what cannot be parsed is read as far as its header, which the node
serves first.
"""

import json
import re
from gettext import gettext as _
from typing import Any

from pydantic import ValidationError

from node_client.block import Block
from node_client.condense import Condenser, count_values
from node_client.responses import parse_json, reason_of

MAX_BLOCK_BODY = 32 * 2**20
"""Bound, in bytes, of a block's JSON that is read. A full block of honest results is 6.8 MB at most
(500 of 13.5 KB: 12,288 hex digits of proof at n = 1024 with 16 openings, and 1.2 KB), so that beside
it two foreign proofs of 9 MB are still read. On a line of 10 Mbit/s it takes the 30 seconds that one
exchange may take."""

MOST_VALUES = 1_000_000
"""Bound of the JSON values that are parsed; each takes up to some 200 bytes. 5,000 transactions of 18
values each are a tenth of it; of a block that has more, those with many values are left out."""

HEADER_WITHIN = 2**20
"""The header of a block that is not read must end within so many bytes; it has some 800."""


def read_block(body: bytes, *, cut: str = "") -> Block:
    """Return the block in `body`, with a fault where not all of it can be read.

    `cut`: why the body is not all that the node sent. Raises ValueError where the header cannot be
    read either.
    """
    try:
        if count_values(body) > MOST_VALUES:
            cut = cut or _("it holds more than {most} values").format(most=MOST_VALUES)
            condenser = Condenser(len(body))
            condenser.feed(body)
            body = condenser.body()
            if count_values(body) > MOST_VALUES:
                raise ValueError(cut)
        return Block.read(parse_json(body, strict=False), unread=cut)
    except ValidationError:
        raise
    except ValueError as error:
        why = cut or reason_of(error)
    return Block.read({"header": _header(body, why)}, unread=why)


def _header(body: bytes, why: str) -> Any:
    """Return the value of the key "header" in the first bytes of an object that may end anywhere."""
    text = body[:HEADER_WITHIN].decode(errors="replace")
    decoder = json.JSONDecoder()
    try:
        at = _past(text, 0, "{")
        while True:
            key, at = decoder.raw_decode(text, _past(text, at, ""))
            value, at = decoder.raw_decode(text, _past(text, at, ":"))
            if key == "header":
                return value
            at = _past(text, at, ",")
    except (ValueError, RecursionError):
        raise ValueError(why) from None


def _past(text: str, at: int, mark: str) -> int:
    """Return where the text goes on after `mark` and the white space around it."""
    found = re.compile(rf"\s*{re.escape(mark)}\s*").match(text, at)
    if found is None:
        raise ValueError(mark)
    return found.end()
