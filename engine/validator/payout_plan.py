"""What workers are owed, as a plan of transfers: a part each has one digit and zeros.

plan = plan_payouts(store, least=10**12)
plan[0].worker_address, plan[0].parts
"""

from dataclasses import dataclass

from engine.validator.store.database import Store
from node_client.ambiguity import one_digit_parts
from node_client.networks import UNITS_PER_CPC

DECIMALS = 6
"""What is owed is rounded down to so many; the rest is paid with the next."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What one worker gets, in units, and the transfers that add up to it."""

    worker_address: str
    units: int
    parts: tuple[int, ...]


def plan_payouts(store: Store, *, least: int = 1) -> list[Payment]:
    """Return what to pay, by address; nothing to workers that are owed less than `least` units."""
    grain = UNITS_PER_CPC // 10**DECIMALS
    plan: list[Payment] = []
    for worker, owed in sorted(store.rewards.due().items()):
        units = owed // grain * grain
        if units > 0 and owed >= least:
            plan.append(Payment(worker, units, tuple(one_digit_parts(units))))
    return plan
