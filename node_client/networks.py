"""Constants of the three networks: block time, least gas price, limits, the unit of money."""

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from gettext import gettext as _

from node_client.errors import InvalidData

UNITS_PER_CPC = 10**18
MAX_QUEUED_NONCES = 64


@dataclass(frozen=True, slots=True)
class Network:
    """One network's constants. `block_time` in seconds, `min_gas_price` in units a gas.

    `block_transactions` and `block_gas`: the most that a block holds.
    """

    name: str
    block_time: float
    min_gas_price: int
    block_transactions: int
    block_gas: int


NETWORKS = {
    network.name: network
    for network in (
        Network("devnet", 5.0, 1_000, 500, 50_000_000),
        Network("testnet", 30.0, 5_000, 1_000, 15_000_000),
        Network("mainnet", 60.0, 1_000_000_000, 5_000, 30_000_000),
    )
}


def parse_cpc(text: str) -> int:
    """Units in a decimal amount of CPC, such as "100" or "0.25". Exact; raises InvalidData."""
    wrong = InvalidData(
        _(
            "{text!r} is not an amount of CPC: write a positive decimal number with at most 18 decimals"
        ).format(text=text),
    )
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?", text):
        raise wrong
    with localcontext(prec=100):
        units = Decimal(text) * UNITS_PER_CPC
        if units == 0 or units != units.to_integral_value():
            raise wrong
        return int(units)


def format_cpc(units: int) -> str:
    """Return a number of units as decimal CPC, without trailing zeros: 5 * 10^17 is "0.5"."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), UNITS_PER_CPC)
    decimals = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
