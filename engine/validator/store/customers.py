"""Customers: their tokens, stored only as SHA-256, and their credit, in units.

    token = customers.add("alice")       # shown only once
    customers.deposit("alice", parse_cpc("100"), "transaction 51f0...")
    customers.by_token(token)            # "alice"

A token has 256 bits of the system's randomness, so a plain hash of it gives nothing away. Posting a
task takes its reward from the credit, and a task that fails gives it back.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import BadInput
from engine.runtime.sql import Transaction, insert, update
from engine.validator.store.table import Table
from node_client.networks import format_cpc

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. `credit` in units; `active`: has a token."""

    name: str
    credit: int
    active: bool


class Customers(Table):
    """Customers in the validator's database."""

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
        with self._database.write() as db:
            return self._book(db, name, units, why, None)

    def withdraw(self, name: str, units: int, why: str) -> int:
        """Take from the credit and return the new credit. Raises BadInput, NoCredit."""
        with self._database.write() as db:
            return self._book(db, name, -units, why, None)

    def all(self) -> list[Customer]:
        """Return every customer, by name."""
        rows = self._database.read("SELECT * FROM customers ORDER BY name")
        return [
            Customer(row["name"], int(row["credit"]), row["token_sha256"] is not None)
            for row in rows
        ]

    def pay_escrow(self, db: Transaction, name: str, units: int, task_id: str) -> None:
        """Take a task's reward from the credit, within a transaction. Raises NoCredit."""
        self._book(db, name, -units, "reward", task_id)

    def refund(self, db: Transaction, name: str, units: int, why: str, task_id: str) -> None:
        """Give a reward back, within a transaction."""
        self._book(db, name, units, why, task_id)

    def _set_token(self, name: str, token_sha256: str | None) -> None:
        with self._database.write() as db:
            changed = update(db, "customers", "name = ?", name, token_sha256=token_sha256)
        if changed == 0:
            raise _no_customer(name)

    def _book(self, db: Transaction, name: str, units: int, why: str, task_id: str | None) -> int:
        select = "SELECT credit FROM customers WHERE name = ?" + self._database.row_lock  # noqa: S608
        row = db.execute(select, (name,)).fetchone()
        if row is None:
            raise _no_customer(name)
        credit = int(row["credit"]) + units
        if credit < 0:
            raise NoCredit(
                _("the credit of {name} is {credit} CPC, and {needed} CPC are needed").format(
                    name=name, credit=format_cpc(int(row["credit"])), needed=format_cpc(-units)
                ),
                advice=_(
                    "The validator's operator adds to it: cpc-engine validator customers deposit"
                ),
            )
        update(db, "customers", "name = ?", name, credit=str(credit))
        booking = {"units": str(units), "at": self._clock(), "why": why, "task_id": task_id}
        insert(db, "bookings", customer=name, **booking)
        return credit


class NoCredit(BadInput):
    """The credit does not cover the amount."""


def _no_customer(name: str) -> BadInput:
    advice = _("Add one: cpc-engine validator customers add NAME")
    return BadInput(_("there is no customer {name!r}").format(name=name[:80]), advice=advice)


def _new_token() -> str:
    return f"cpc_{secrets.token_urlsafe(32)}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
