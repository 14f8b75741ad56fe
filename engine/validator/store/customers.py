"""Customers: their tokens, stored only as SHA-256, and their credit, in units.

    token = customers.add("alice")       # shown only once
    customers.deposit("alice", parse_cpc("100"), "transaction 51f0...")
    customers.by_token(token)            # "alice"

A token has 256 bits of the system's randomness, so a plain hash of it gives nothing away. Posting a
task takes its reward from the credit, and a task that fails gives it back.

Several validators change these rows at the same time. None waits for another's rows that waits for its
own: what gives back locks its rows last and by name, and no unit of work gives back and posts; one with
several customers' posts locks their rows first, by name (`lock`). Credits are written when the unit of
work ends, each once.
"""

import hashlib
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import BadInput
from engine.runtime.sql import update
from engine.validator.store.backend import Backend
from engine.validator.store.table import Table
from engine.validator.store.unit import AtEnd, Rows, Values, padded
from node_client.networks import format_cpc

_CREDIT = Rows(8, "customers", ("credit",), keys=("name",))
_NOTED = Rows(9, "bookings", ("customer", "units", "at", "why", "task_id"))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. `credit` in units; `active`: has a token."""

    name: str
    credit: int
    active: bool


class Customers(Table):
    """Customers in the validator's database."""

    def __init__(self, database: Backend, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._changes = AtEnd(2, self._write_changes)
        self._locked: dict[str, int] = {}
        """Credits before the unit of work `_locked_in`, which has locked these rows."""
        self._locked_in: int | None = None
        database.when_undone(self._locked.clear)

    def add(self, name: str) -> str:
        """Add a customer and return its token. Raises BadInput."""
        if not _NAME.fullmatch(name):
            raise BadInput(
                _(
                    "{name!r} is not a valid name: use up to 64 letters, digits, dots and dashes"
                ).format(name=name[:80])
            )
        token = _new_token()
        with self._database.write() as db:
            done = db.execute(
                "INSERT INTO customers (name, token_sha256, created_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (name, _hash(token), self._clock()),
            )
        if done.rowcount == 0:
            advice = _("A new token for it: cpc-engine validator customers renew {name}").format(
                name=name
            )
            raise BadInput(_("customer {name} exists already").format(name=name), advice=advice)
        return token

    def renew(self, name: str) -> str:
        """Return a new token, which replaces the old one. Raises BadInput."""
        token = _new_token()
        self._set_token(name, _hash(token))
        return token

    def revoke(self, name: str) -> None:
        """Revoke the token; tasks that were posted go on. Raises BadInput."""
        self._set_token(name, None)

    def by_token(self, token: str) -> str | None:
        """Return the name of the customer with this token."""
        rows = self._database.read(
            "SELECT name FROM customers WHERE token_sha256 = ?", _hash(token)
        )
        return rows[0]["name"] if rows else None

    def credit(self, name: str) -> int:
        """Return the customer's credit, in units. Raises BadInput."""
        rows = self._database.read("SELECT credit FROM customers WHERE name = ?", name)
        if not rows:
            raise _no_customer(name)
        return int(rows[0]["credit"])

    def deposit(self, name: str, units: int, why: str) -> int:
        """Add to the credit and return the new credit. Raises BadInput."""
        with self._database.write():
            return self._book(name, units, why, None)

    def withdraw(self, name: str, units: int, why: str) -> int:
        """Take from the credit and return the new credit. Raises BadInput, NoCredit."""
        with self._database.write():
            return self._book(name, -units, why, None)

    def all(self) -> list[Customer]:
        """Return every customer, by name."""
        rows = self._database.read("SELECT * FROM customers ORDER BY name")
        return [
            Customer(row["name"], int(row["credit"]), row["token_sha256"] is not None)
            for row in rows
        ]

    def lock(self, names: Iterable[str]) -> None:
        """Lock these customers' rows, within a transaction, until it ends."""
        self._before(names)

    def pay_escrow(self, name: str, units: int, task_id: str) -> None:
        """Take a task's reward from the credit, within a transaction. Raises NoCredit."""
        self._book(name, -units, "reward", task_id)

    def refund(self, name: str, units: int, why: str, task_id: str) -> None:
        """Give a reward back, within a transaction, when it ends."""
        self._note(name, units, why, task_id)

    def _write_changes(self, changes: Sequence[Values]) -> None:
        """Write the credits of a unit of work, once they are locked."""
        total = Counter[str]()
        for name, units in changes:
            total[name] += units
        for name, credit in self._before(total).items():
            self._database.later(_CREDIT, str(credit + total[name]), name)

    def _before(self, names: Iterable[str]) -> dict[str, int]:
        """Lock these customers' rows, by name, and return their credits before the unit of work."""
        if self._database.unit != self._locked_in:
            self._locked.clear()
            self._locked_in = self._database.unit
        wanted = sorted(names)
        if missing := [name for name in wanted if name not in self._locked]:
            marks, values = padded(missing)
            select = f"SELECT name, credit FROM customers WHERE name IN ({marks}) ORDER BY name"  # noqa: S608
            rows = self._database.apart(select + self._database.row_lock, *values)
            self._locked |= {row["name"]: int(row["credit"]) for row in rows}
        return {name: self._locked[name] for name in wanted if name in self._locked}

    def _set_token(self, name: str, token_sha256: str | None) -> None:
        with self._database.write() as db:
            changed = update(db, "customers", "name = ?", name, token_sha256=token_sha256)
        if changed == 0:
            raise _no_customer(name)

    def _book(self, name: str, units: int, why: str, task_id: str | None) -> int:
        before = self._before([name])
        if not before:
            raise _no_customer(name)
        waiting = self._database.waiting(self._changes)
        credit = before[name] + sum(change for one, change in waiting if one == name)
        if credit + units < 0:
            raise NoCredit(
                _("the credit of {name} is {credit} CPC, and {needed} CPC are needed").format(
                    name=name, credit=format_cpc(credit), needed=format_cpc(-units)
                ),
                advice=_(
                    "The validator's operator adds to it: cpc-engine validator customers deposit"
                ),
            )
        self._note(name, units, why, task_id)
        return int(credit + units)

    def _note(self, name: str, units: int, why: str, task_id: str | None) -> None:
        self._database.later(self._changes, name, units)
        self._database.later(_NOTED, name, str(units), self._clock(), why, task_id)


class NoCredit(BadInput):
    """The credit does not cover the amount."""


def _no_customer(name: str) -> BadInput:
    advice = _("Add one: cpc-engine validator customers add NAME")
    return BadInput(_("there is no customer {name!r}").format(name=name[:80]), advice=advice)


def _new_token() -> str:
    return f"cpc_{secrets.token_urlsafe(32)}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
