"""`cpc-engine validator`: run a validator, and look after its customers, workers and money."""

from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import (
    Json,
    KeysDirectory,
    Nodes,
    PassphraseFile,
    Threads,
    connect,
    load_key,
    say,
    say_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.validator.payouts import Payment
    from engine.validator.store.database import Store

app = typer.Typer(
    help=_("Run a PoC validator with its task market, and pay its workers."),
    no_args_is_help=True,
    rich_markup_mode=None,
)
customers = typer.Typer(
    help=_("Customers, their tokens and their credit."), no_args_is_help=True, rich_markup_mode=None
)
workers = typer.Typer(
    help=_("Workers and their reputation."), no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(customers, name="customers")
app.add_typer(workers, name="workers")

DEFAULT_CHAIN = "cpc-devnet-1"

Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        envvar="CPC_VALIDATOR",
        help=_("Directory of the validator's database. [validator in CPC_STATE]"),
    ),
]
Name = Annotated[str, typer.Argument(help=_("The customer's name."))]
Why = Annotated[str, typer.Option("--why", help=_("Reason, stored with the booking."))]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help=_("Address to listen at."))] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help=_("Port; 0: any free one."))] = 8080,
    public_url: Annotated[
        str | None,
        typer.Option(help=_("How workers dial it, which they sign: wss://HOST/worker.")),
    ] = None,
    chain_id: Annotated[
        str, typer.Option(help=_("The chain that workers sign for."))
    ] = DEFAULT_CHAIN,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help=_("What results are computed again on: auto, cpu, cuda:N.")),
    ] = None,
    threads: Threads = None,
    openings: Annotated[
        int, typer.Option(min=1, max=1024, help=_("Leaves drawn after each commitment."))
    ] = 32,
    least_full: Annotated[
        float, typer.Option(min=0, max=1, help=_("Least share of the results computed again."))
    ] = 1 / 32,
    margin: Annotated[
        float, typer.Option(min=1, help=_("How many times what a cheat gains it stands to lose."))
    ] = 2.0,
    second_worker: Annotated[
        float, typer.Option(min=0, max=1, help=_("Share of those left to a second worker."))
    ] = 0.25,
    hold_hours: Annotated[
        float, typer.Option(min=0.001, help=_("How long rewards are withheld."))
    ] = 24.0,
    guests: Annotated[
        bool, typer.Option("--guests/--no-guests", help=_("Work for those who say no hello."))
    ] = True,
    enable: Annotated[
        list[str] | None, typer.Option(help=_("A kind of job of another package, by its name."))
    ] = None,
    most_cost: Annotated[
        int | None, typer.Option(min=1, help=_("Multiply-adds that one task may take."))
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help=_("PEM file, for wss and https without a proxy."))
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help=_("The certificate's key, PEM."))] = None,
    directory: Directory = None,
    json: Json = False,
) -> None:
    """Serve workers over WebSocket and customers over HTTP, until Ctrl-C."""
    import os
    from dataclasses import replace

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.jobs.kind import JobLimits
    from engine.monitor.reporter import JsonReporter, PlainReporter
    from engine.runtime.errors import BadInput
    from engine.validator.policy.audit_policy import Policy
    from engine.validator.server import ServeRequest
    from engine.validator.server import serve as run
    from kernels.devices import check_device_name

    if (tls_certificate is None) != (tls_key is None):
        raise BadInput(_("--tls-certificate and --tls-key are given together or not at all"))
    for file in (tls_certificate, tls_key):
        if file is not None and not file.is_file():
            raise BadInput(_("there is no file {file}").format(file=file))
    for name in device or []:
        check_device_name(name)
    policy = Policy(
        openings=openings,
        least_full=least_full,
        margin=margin,
        second_worker=second_worker,
        hold_seconds=hold_hours * 3600,
    )
    limits = JobLimits()
    request = ServeRequest(
        chain_id=chain_id,
        directory=directory,
        host=host,
        port=port,
        public_url=public_url,
        devices=tuple(device or ["auto"]),
        threads=threads,
        guests=guests,
        kinds=tuple(enable or []),
        job_limits=replace(limits, multiply_adds=most_cost or limits.multiply_adds),
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    run(request, policy, JsonReporter() if json else PlainReporter())


@app.command()
def policy(directory: Directory = None, json: Json = False) -> None:
    """Show what the policy catches, and the most that a cheat can gain: see docs/market.md."""
    from engine.validator.policy.deterrence import table

    with _store(directory) as store:
        rows = table(store.policy)
    if json:
        say_json(rows)
        return
    for row in rows:
        say(f"{row['cheat']:<44} {row['caught']:>9.4%}  {row['best']:+.4f}")
    say(_("Caught: for each job. Last: best profit over 200 jobs, in rewards, less honest work's."))


@customers.command("add")
def add_customer(
    name: Name,
    credit: Annotated[str | None, typer.Option(help=_("CPC to begin with."))] = None,
    directory: Directory = None,
    json: Json = False,
) -> None:
    """Make a customer, and print its token: it is shown this once."""
    from node_client.networks import parse_cpc

    units = None if credit is None else parse_cpc(credit)
    with _store(directory) as store:
        token = store.customers.add(name)
        if units is not None:
            store.customers.deposit(name, units, "at the beginning")
    _say_token(name, token, json)


@customers.command()
def renew(name: Name, directory: Directory = None, json: Json = False) -> None:
    """Another token in place of a customer's old one."""
    with _store(directory) as store:
        token = store.customers.renew(name)
    _say_token(name, token, json)


@customers.command()
def revoke(name: Name, directory: Directory = None) -> None:
    """Take a customer's token away; what it posted is carried out."""
    with _store(directory) as store:
        store.customers.revoke(name)
    say(_("{name} has no token any more.").format(name=name))


@customers.command()
def deposit(
    name: Name,
    amount: Annotated[str, typer.Argument(help=_("CPC that came in."))],
    why: Why = "",
    directory: Directory = None,
) -> None:
    """Add to a customer's credit, once its payment has arrived."""
    _book(name, amount, why, directory, incoming=True)


@customers.command()
def withdraw(
    name: Name,
    amount: Annotated[str, typer.Argument(help=_("CPC that went back."))],
    why: Why = "",
    directory: Directory = None,
) -> None:
    """Take from a customer's credit, once it was paid back."""
    _book(name, amount, why, directory, incoming=False)


@customers.command("list")
def list_customers(directory: Directory = None, json: Json = False) -> None:
    """Every customer with its credit."""
    from node_client.networks import format_cpc

    with _store(directory) as store:
        found = store.customers.all()
    if json:
        say_json(
            [
                {"name": one.name, "credit": format_cpc(one.credit), "active": one.active}
                for one in found
            ]
        )
        return
    for one in found:
        state = "" if one.active else _("  (no token)")
        say(f"{one.name:<20} {format_cpc(one.credit):>14} CPC{state}")
    say(_("customers: {n}").format(n=len(found)))


@workers.command("list")
def list_workers(directory: Directory = None, json: Json = False) -> None:
    """List every worker: reputation, what is withheld, and who is banned."""
    from node_client.networks import format_cpc

    with _store(directory) as store:
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
    for row in rows:
        state = _("  BANNED: {reason}").format(reason=row["out"]) if row["out"] else ""
        say(
            f"{row['address']} {row['score']:.3f} "
            + _("withheld {withheld} CPC, due {due} CPC").format(**row)
            + state
        )
    say(_("workers: {n}").format(n=len(rows)))


@workers.command()
def pardon(
    address: Annotated[str, typer.Argument(help=_("The worker's address."))],
    directory: Directory = None,
) -> None:
    """Let a worker in again that was put out; what it forfeited stays so."""
    with _store(directory) as store:
        store.workers.pardon(address)
    say(_("{address} may work again.").format(address=address))


@app.command()
def payouts(
    context: typer.Context,
    pay: Annotated[
        bool, typer.Option("--pay", help=_("Pay, in place of showing the plan."))
    ] = False,
    from_: Annotated[
        str, typer.Option("--from", help=_("Name of the key that pays."))
    ] = "validator",
    least: Annotated[
        str, typer.Option(help=_("Leave out whoever is owed less CPC than this."))
    ] = "0.000001",
    depth: Annotated[
        int, typer.Option(min=0, max=100, help=_("Blocks on top until a transfer is final."))
    ] = 6,
    wait: Annotated[
        float, typer.Option(min=0, help=_("Seconds to wait until all of them are final."))
    ] = 3600.0,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    node: Nodes = None,
    directory: Directory = None,
    json: Json = False,
) -> None:
    """What workers are owed, as transfers; with --pay they are sent. Nothing is paid twice."""
    from engine.validator.payouts import plan_payouts
    from node_client.networks import parse_cpc

    units = parse_cpc(least)
    with _store(directory) as store:
        if not pay:
            _say_plan(plan_payouts(store, least=units), json)
            return
        from engine.node.preflight import look_at_chain
        from engine.runtime.database import lock_file
        from engine.validator.payouts import Payer

        key = load_key(from_, keys_dir, passphrase_file)
        client = connect(context, node)
        chain = look_at_chain(client)
        lock = lock_file(
            store.database.path.with_suffix(".payouts.lock"),
            _("another process makes payouts from this database"),
            _("Wait until it has ended."),
        )
        with lock:
            plan = plan_payouts(store, least=units)
            _say_plan(plan, json)
            tell = say if not json else (lambda _line: None)
            payer = Payer(
                store, client, key, chain.network, chain=chain.genesis, depth=depth, tell=tell
            )
            done = payer.pay(plan, seconds=wait)
    if not done:
        say(_("Not everything is final yet: the same command goes on where this one ended."))
        raise typer.Exit(3)


def _say_plan(plan: "list[Payment]", json: bool) -> None:
    from node_client.networks import format_cpc

    if json:
        say_json(
            [
                {
                    "worker_address": one.worker_address,
                    "cpc": format_cpc(one.units),
                    "units": str(one.units),
                    "transfers": [str(part) for part in one.parts],
                }
                for one in plan
            ]
        )
        return
    for one in plan:
        say(f"{one.worker_address} {format_cpc(one.units):>14} CPC")
        for part in one.parts:
            say(f"    {part:>30} " + _("units in one transfer"))
    total = sum(one.units for one in plan)
    transfers = sum(len(one.parts) for one in plan)
    say(
        _("{cpc} CPC; workers: {n}, transfers: {transfers}").format(
            cpc=format_cpc(total), n=len(plan), transfers=transfers
        )
    )


def _book(name: str, amount: str, why: str, directory: Path | None, *, incoming: bool) -> None:
    from node_client.networks import format_cpc, parse_cpc

    units = parse_cpc(amount)
    with _store(directory) as store:
        change = store.customers.deposit if incoming else store.customers.withdraw
        credit = change(name, units, why)
    say(_("{name}: {credit} CPC").format(name=name, credit=format_cpc(credit)))


def _say_token(name: str, token: str, json: bool) -> None:
    if json:
        say_json({"name": name, "token": token})
        return
    say(token)
    # Apart from the token, which `> alice.token` then keeps by itself.
    said = _("This is {name}'s token. It is not kept and will not be shown again.")
    typer.echo(said.format(name=name), err=True)


@contextmanager
def _store(directory: Path | None) -> "Iterator[Store]":
    from engine.validator.server import database_path
    from engine.validator.store.database import Store

    with Store.open(database_path(directory)) as store:
        yield store
