"""One process at a time makes payouts from a database; another may wait to take over.

    with leading(store, print, follow=True):    # once the one before has ended, or its session has
        Payer(...)

What a leader that died has written stays, as after any run that was cut off: see `payouts.py`.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from gettext import gettext as _

from engine.validator.store.backend import AnotherLeads
from engine.validator.store.database import Store

FOLLOW_SECONDS = 1.0


def leading(
    store: Store, tell: Callable[[str], None], *, follow: bool
) -> AbstractContextManager[object]:
    """Be the one that makes payouts, with `follow` once there is no other. Raises AnotherLeads."""
    told = False
    while True:
        with ExitStack() as entered:
            try:
                entered.enter_context(store.database.leading())
            except AnotherLeads as other:
                if not follow:
                    raise
                if not told:
                    tell(_("{reason}: waiting").format(reason=other))
                told = True
            else:
                return entered.pop_all()
        time.sleep(FOLLOW_SECONDS)
