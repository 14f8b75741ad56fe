"""What a result may cost now: the operator's price, and more only where and while that is demanded.

    price = Price(1000, most=5000)
    price.now(height)              # 1000
    price.demand(1500, height)     # 2000, which `now` gives for the next PRICE_BLOCKS blocks
    price.demand(9000, height)     # None: the operator did not allow so much

Prices in units a gas, of one digit and zeros: with others the text of a result's transaction may have
a second reading (`node_client.ambiguity`).
"""

PRICE_BLOCKS = 20
"""After so many blocks without a demand the operator's own price is tried again."""


class Price:
    """One account's."""

    def __init__(self, own: int, most: int | None) -> None:
        """`own`: what results are sent with; it rises no further than `most`, None for not at all."""
        self._own = own
        self._most = own if most is None else most
        self._demanded: tuple[int, int] | None = None  # price and height

    def now(self, height: int) -> int:
        """Return the price of a result that is signed at this height."""
        if self._demanded is not None and height - self._demanded[1] >= PRICE_BLOCKS:
            self._demanded = None
        return self._own if self._demanded is None else max(self._own, self._demanded[0])

    def above(self, price: int) -> int | None:
        """Return the next higher price, None where the operator did not allow so much."""
        return self._allowed(price + 1)

    def demand(self, least: int, height: int) -> int | None:
        """Note that nodes take nothing below `least`. Return what to pay, None for not so much."""
        price = self._allowed(least)
        if price is not None:
            self._demanded = (price, height)
        return price

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
