"""`cpc-engine validator`: run a validator, and manage its customers, workers and payouts."""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from engine.cli.config.groups import with_options
from engine.cli.new_token import TokenOut
from engine.cli.options import Json, KeyFiles, NodeOptions, command_group, say, say_json
from engine.cli.table import say_table
from engine.monitor.options import LogOptions
from engine.pool.options import PoolOptions
from engine.runtime.settings import setting
from engine.txmgr.options import FinalityOptions
from engine.validator.options import PolicyOptions, ServeOptions, StoreOptions

if TYPE_CHECKING:
    from engine.validator.payout_plan import Payment
    from node_client.keys import PrivateKey

app = command_group(_("Run a PoC validator with its task market, and pay its workers."))
customers = command_group(_("Manage customers, their tokens and their credit."))
workers = command_group(_("Manage workers and their reputation."))
app.add_typer(customers, name="customers")
app.add_typer(workers, name="workers")

Name = Annotated[str, typer.Argument(help=_("The customer's name."))]
Why = Annotated[str, typer.Option("--why", help=_("Reason, stored with the booking."))]


@dataclass(frozen=True, kw_only=True)
class CheckingOptions(PoolOptions):
    """What results are computed again on."""

    device: tuple[str, ...] = setting(
        ("auto",), _("What results are computed again on: auto, cpu, cuda:N.")
    )


@dataclass(frozen=True, kw_only=True)
class ReceiptOptions(KeyFiles):
    """Receipts: whether they are made, and which key signs them."""

    heading: ClassVar[str] = _("Receipts")

    receipts: bool = setting(True, _("Sign a receipt of each completed task."))
    receipt_key: str = setting(
        "receipts", _("Name of the key that signs receipts; made where it is missing.")
    )

    def key(self) -> "PrivateKey | None":
        """Return the key that signs receipts, made if it is not there; None: none are signed."""
        if not self.receipts:
            return None
        store = self.keystore()
        if self.receipt_key not in store.names():
            from node_client.errors import KeyExists

            with suppress(KeyExists):  # another validator that starts made it just now
                store.create(self.receipt_key)
        return self.load_key(self.receipt_key)


@dataclass(frozen=True, kw_only=True)
class PayoutOptions(FinalityOptions, KeyFiles):
    """Which key pays, how much, and how long finality is waited for."""

    pay: bool = setting(False, _("Pay, instead of showing the plan."))
    from_: str = setting("validator", _("Name of the key that pays."))
    least: str = setting("0.000001", _("Leave out workers that are owed less CPC than this."))
    nonce: int | None = setting(
        None, _("The account's next nonce, at your word. [what blocks and nodes prove]"), least=0
    )
    accept_burn: str | None = setting(
        None, _("CPC that a lying node may burn, where digits can be read in two ways. [none]")
    )
    follow: bool = setting(
        False, _("While another process makes payouts, wait, and take over when it ends or dies.")
    )
    wait: float = setting(3600.0, _("Seconds to wait until all transfers are final."), least=0)


@app.command()
@with_options
def serve(
    options: ServeOptions,
    pool: CheckingOptions,
    audit: PolicyOptions,
    receipts: ReceiptOptions,
    log: LogOptions,
    json: Json = False,
) -> None:
    """Serve workers over WebSocket and customers over HTTP, until Ctrl-C."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.monitor.output import Output
    from engine.monitor.reporter import both
    from engine.validator.server import serve as run

    options.check()
    pool.apply()
    pool.check()
    key = receipts.key()
    printed = log.reporter(Output(sys.stdout), json=json)
    with log.filing(printed, json) as filed:
        report = printed if filed is None else both(printed, filed)
        run(options, pool, audit.policy(), report, key)


@app.command()
@with_options
def policy(files: StoreOptions, json: Json = False) -> None:
    """Show what the policy catches, and the most that a cheat can gain: see docs/market.md."""
    from engine.validator.policy.deterrence import table

    with files.open_store() as store:
        rows = table(store.policy)
    if json:
        say_json(rows)
        return
    for row in rows:
        say(f"{row['cheat']:<44} {row['caught']:>9.4%}  {row['best']:+.4f}")
    say(_("Caught: for each job. Last: best profit over 200 jobs, in rewards, less honest work's."))


@customers.command("add")
@with_options
def add_customer(
    files: StoreOptions,
    name: Name,
    out: TokenOut,
    credit: Annotated[str | None, typer.Option(help=_("Initial credit in CPC."))] = None,
    json: Json = False,
) -> None:
    """Create a customer and print its token, which is shown only once."""
    from node_client.networks import parse_cpc

    units = None if credit is None else parse_cpc(credit)
    with out.receiving(), files.open_store() as store:
        token = store.customers.add(name)
        if units is not None:
            store.customers.deposit(name, units, "at the beginning")
        out.tell(name, token, json)


@customers.command()
@with_options
def renew(name: Name, files: StoreOptions, out: TokenOut, json: Json = False) -> None:
    """Replace a customer's token with a new one."""
    with out.receiving(), files.open_store() as store:
        out.tell(name, store.customers.renew(name), json)


@customers.command()
@with_options
def revoke(name: Name, files: StoreOptions) -> None:
    """Revoke a customer's token; its posted tasks are still computed."""
    with files.open_store() as store:
        store.customers.revoke(name)
    say(_("{name} no longer has a token.").format(name=name))


@customers.command()
@with_options
def deposit(
    files: StoreOptions,
    name: Name,
    amount: Annotated[str, typer.Argument(help=_("CPC received."))],
    why: Why = "",
) -> None:
    """Add to a customer's credit, after its payment has arrived."""
    _book(name, amount, why, files, incoming=True)


@customers.command()
@with_options
def withdraw(
    files: StoreOptions,
    name: Name,
    amount: Annotated[str, typer.Argument(help=_("CPC paid back."))],
    why: Why = "",
) -> None:
    """Subtract from a customer's credit, after it was paid back."""
    _book(name, amount, why, files, incoming=False)


@customers.command("list")
@with_options
def list_customers(files: StoreOptions, json: Json = False) -> None:
    """List every customer with its credit."""
    from node_client.networks import format_cpc

    with files.open_store() as store:
        found = store.customers.all()
    if json:
        say_json(
            [
                {"name": one.name, "credit": format_cpc(one.credit), "active": one.active}
                for one in found
            ]
        )
        return
    rows = [
        [one.name, format_cpc(one.credit), "" if one.active else _("no token")] for one in found
    ]
    say_table([_("customer"), _("credit, CPC"), ""], rows, right={1})
    say(_("customers: {n}").format(n=len(found)))


@workers.command("list")
@with_options
def list_workers(files: StoreOptions, json: Json = False) -> None:
    """List every worker: reputation, what is withheld, and who is banned."""
    from node_client.networks import format_cpc

    with files.open_store() as store:
        due = store.rewards.due()
        rows = [
            {
                "address": one.address,
                "proven": one.proven,
                "score": round(store.workers.score(one), 3),
                "withheld": format_cpc(store.rewards.withheld(one.address)),
                "due": format_cpc(due.get(one.address, 0)),
                "out": one.ban_reason,
            }
            for one in store.workers.all()
        ]
    if json:
        say_json(rows)
        return
    heads = [_("worker"), _("score"), _("withheld, CPC"), _("due, CPC"), _("banned because")]
    names = ("address", "score", "withheld", "due", "out")
    cells = [[str(row[name] or "") for name in names] for row in rows]
    say_table(heads, cells, right={1, 2, 3})
    say(_("workers: {n}").format(n=len(rows)))


@workers.command()
@with_options
def pardon(
    address: Annotated[str, typer.Argument(help=_("The worker's address."))],
    files: StoreOptions,
) -> None:
    """Lift a worker's ban; what it forfeited stays forfeited."""
    with files.open_store() as store:
        store.workers.pardon(address)
    say(_("{address} may work again.").format(address=address))


@app.command()
@with_options
def payouts(
    context: typer.Context,
    options: PayoutOptions,
    nodes: NodeOptions,
    files: StoreOptions,
    json: Json = False,
) -> None:
    """Show what workers are owed, as transfers; --pay sends them. Nothing is paid twice."""
    from engine.validator.payout_plan import plan_payouts
    from engine.validator.withholding import foreseen
    from node_client.networks import parse_cpc

    units = parse_cpc(options.least)
    accept_burn = parse_cpc(options.accept_burn) if options.accept_burn else 0
    with files.open_store() as store:
        if not options.pay:
            plan = plan_payouts(store, least=units)
            _say_plan(plan, json, foreseen(plan, accept_burn))
            return
        from engine.node.preflight import look_at_chain
        from engine.validator.payout_lead import leading
        from engine.validator.payouts import Payer

        key = options.load_key(options.from_)
        client = nodes.connect(context)
        chain = look_at_chain(client)
        tell_progress = partial(typer.echo, err=True)
        with leading(store, tell_progress, follow=options.follow):
            plan = plan_payouts(store, least=units)
            _say_plan(plan, json)
            tell = say if not json else (lambda _line: None)
            payer = Payer(
                store,
                client,
                key,
                chain.network,
                chain=chain.genesis,
                depth=options.depth,
                nonce=options.nonce,
                accept_burn=accept_burn,
                tell=tell,
                progress=tell_progress,
            )
            done = payer.pay(plan, seconds=options.wait)
    if not done:
        say(_("Not everything is final yet: run the same command again to continue."))
        raise typer.Exit(3)


def _say_plan(plan: "list[Payment]", json: bool, stakes: dict[str, int] | None = None) -> None:
    """`stakes`: what is at stake, in units, in payments to workers that are going to be withheld."""
    from engine.validator.withholding import tell_all_withheld
    from node_client.networks import format_cpc

    if json:
        say_json([_payment_row(one, stakes) for one in plan])
        return
    for one in plan:
        say(f"{one.worker_address} {format_cpc(one.units):>14} CPC")
        for part in one.parts:
            say(f"    {part:>30} " + _("units in one transfer"))
    total = sum(one.units for one in plan)
    transfers = sum(len(one.parts) for one in plan)
    said = _("{cpc} CPC; workers: {n}, transfers: {transfers}")
    say(said.format(cpc=format_cpc(total), n=len(plan), transfers=transfers))
    tell_all_withheld(say, plan, stakes or {})


def _payment_row(one: "Payment", stakes: dict[str, int] | None) -> dict[str, object]:
    from node_client.networks import format_cpc

    row: dict[str, object] = {
        "worker_address": one.worker_address,
        "cpc": format_cpc(one.units),
        "units": str(one.units),
        "transfers": [str(part) for part in one.parts],
    }
    if stakes is None:  # with --pay the nodes' balances count, too: it is told once it is known
        return row
    stake = stakes.get(one.worker_address, 0)
    return row | {"withheld": stake > 0, "could_burn": str(stake)}


def _book(name: str, amount: str, why: str, files: StoreOptions, *, incoming: bool) -> None:
    from node_client.networks import format_cpc, parse_cpc

    units = parse_cpc(amount)
    with files.open_store() as store:
        change = store.customers.deposit if incoming else store.customers.withdraw
        credit = change(name, units, why)
    say(_("{name}: {credit} CPC").format(name=name, credit=format_cpc(credit)))
