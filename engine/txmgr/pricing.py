"""What a result may cost now: the operator's price, and more only where and while that is demanded.

    price = Price(1000, most=5000)
    price.now(height)              # 1000
    price.demand(4000, 1000, height)    # 2000, which `now` gives for the next PRICE_BLOCKS blocks
    price.demand(4000, 2000, height)    # None: the next step comes STEP_BLOCKS blocks later
    price.demand(9000, 1000, height)    # None: the operator did not allow so much

Prices in units a gas, of one digit and zeros: with others the text of a result's transaction may have
a second reading (`node_client.ambiguity`).
"""

PRICE_BLOCKS = 20
"""After so many blocks without a demand the operator's own price is tried again."""

STEP_BLOCKS = 4
"""A demand is met by one step in so many blocks: where nobody else is there to ask, it may be a lie."""


class Price:
    """One account's."""

    def __init__(self, own: int, most: int | None) -> None:
        """`own`: what results are sent with; it rises no further than `most`, None for not at all."""
        self._own = own
        self._most = own if most is None else most
        self._demanded: tuple[int, int] | None = None  # price and height
        self._stepped: int | None = None  # height of the last step

    def now(self, height: int) -> int:
        """Return the price of a result that is signed at this height."""
        if self._demanded is not None and height - self._demanded[1] >= PRICE_BLOCKS:
            self._demanded = None
        return self._own if self._demanded is None else max(self._own, self._demanded[0])

    def above(self, price: int) -> int | None:
        """Return the next higher price, None where the operator did not allow so much."""
        return self._allowed(price + 1)

    def demand(self, least: int, paid: int, height: int) -> int | None:
        """Note that no node takes `paid`, but `least`. Return what to pay, None for no more now."""
        price = self._allowed(least)
        if price is None:
            return None
        now = max(self.now(height), paid)
        if price > now:
            if self._stepped is not None and 0 <= height - self._stepped < STEP_BLOCKS:
                return now if now > paid else None
            self._stepped = height
            price = min(price, round_up(now + 1))
        self._demanded = (price, height)
        return price

    def is_raised(self, price: int) -> bool:
        """Whether this is more than the operator's own."""
        return price > self._own

    def _allowed(self, least: int) -> int | None:
        price = round_up(least)
        return price if price <= self._most else None


def round_up(price: int) -> int:
    """Return the least number of one digit and zeros that is not below `price`.

    >>> round_up(1001), round_up(9001), round_up(30)
    (2000, 10000, 30)
    """
    unit: int = 10 ** (len(str(price)) - 1)
    return -(-price // unit) * unit
