"""`cpc-engine query validators|validator|delegations|rewards|unbonding`: who stakes what."""

from functools import partial
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.config.completion import completer
from engine.cli.config.groups import with_options
from engine.cli.options import Json, KeysDirectory, NodeOptions, say, say_foreign_json
from engine.cli.query import account_address, app
from engine.cli.table import say_table

if TYPE_CHECKING:
    from node_client.rpc import NodeClient
    from node_client.stakes import Validator

__all__ = ["app"]

Account = Annotated[
    str,
    typer.Argument(help=_("An address, or the name of a key."), autocompletion=completer("KEY")),
]

_AMOUNTS = {
    "power",
    "self_stake",
    "total_delegated",
    "total_penalties",
    "amount",
    "total_rewards",
    "total_unbonding",
}


@app.command()
@with_options
def validators(context: typer.Context, nodes: NodeOptions, json: Json = False) -> None:
    """List the validators, the strongest first."""
    from node_client.networks import format_cpc
    from node_client.stakes import get_validators

    found = staking_client(context, nodes).ask(get_validators)
    ordered = sorted(found.validators, key=lambda one: (-one.power, one.address))
    if json:
        listed = [_plain(one.model_dump()) for one in ordered]
        say_foreign_json({"epoch": found.epoch, "validators": listed})
        return
    heads = [_("validator"), _("stake, CPC"), _("state"), _("commission"), _("name")]
    say_table(
        heads,
        [
            [
                one.address,
                format_cpc(one.power),
                state_of(one),
                percent(one.commission_rate),
                one.name or "",
            ]
            for one in ordered
        ],
        right={1, 3},
    )
    count = len(ordered)
    say(
        ngettext(
            "{count} validator, epoch {epoch}", "{count} validators, epoch {epoch}", count
        ).format(count=count, epoch=found.epoch)
    )


@app.command()
@with_options
def validator(
    context: typer.Context,
    nodes: NodeOptions,
    address: Annotated[
        str, typer.Argument(help=_("A validator's address, or the name of its key."))
    ],
    json: Json = False,
) -> None:
    """Show a validator: its stake, its commission, how it has performed."""
    from node_client.networks import format_cpc
    from node_client.stakes import get_validator

    ask = partial(get_validator, address=validator_address(address))
    found = staking_client(context, nodes).ask(ask)
    if json:
        say_foreign_json(_plain(found.model_dump()))
        return
    for name, value in found.model_dump().items():
        shown = f"{format_cpc(value)} CPC" if name in _AMOUNTS else value
        say(f"{name + ':':<20} {'-' if shown is None else shown}")


@app.command()
@with_options
def delegations(
    context: typer.Context, nodes: NodeOptions, address: Account, json: Json = False
) -> None:
    """List what an account has delegated, and to whom."""
    from node_client.networks import format_cpc
    from node_client.stakes import get_delegations

    ask = partial(get_delegations, address=account_address(address))
    found = staking_client(context, nodes).ask(ask)
    if json:
        say_foreign_json(_plain(found.model_dump()))
        return
    say_table(
        [_("validator"), _("delegated, CPC"), _("commission"), _("name")],
        [
            [
                one.validator,
                format_cpc(one.amount),
                percent(one.validator_commission),
                one.validator_name or "",
            ]
            for one in found.delegations
        ],
        right={1, 2},
    )
    say(_("{amount} CPC delegated").format(amount=format_cpc(found.total_delegated)))


@app.command()
@with_options
def rewards(
    context: typer.Context, nodes: NodeOptions, address: Account, json: Json = False
) -> None:
    """List what an account earned by delegating, by epoch."""
    from node_client.networks import format_cpc
    from node_client.stakes import get_rewards

    ask = partial(get_rewards, address=account_address(address))
    found = staking_client(context, nodes).ask(ask)
    if json:
        say_foreign_json(_plain(found.model_dump()))
        return
    rows = [[str(one.epoch), format_cpc(one.amount)] for one in found.rewards_by_epoch]
    say_table([_("epoch"), _("earned, CPC")], rows, right={0, 1})
    line = _("{amount} CPC earned, now epoch {epoch}")
    say(line.format(amount=format_cpc(found.total_rewards), epoch=found.current_epoch))


@app.command()
@with_options
def unbonding(
    context: typer.Context, nodes: NodeOptions, address: Account, json: Json = False
) -> None:
    """List the delegations that were taken back and are not paid out yet."""
    from node_client.networks import format_cpc
    from node_client.stakes import get_unbonding

    ask = partial(get_unbonding, address=account_address(address))
    found = staking_client(context, nodes).ask(ask)
    if json:
        say_foreign_json(_plain(found.model_dump()))
        return
    say_table(
        [_("validator"), _("amount, CPC"), _("paid out at height"), _("in blocks")],
        [
            [
                one.validator,
                format_cpc(one.amount),
                str(one.completion_height),
                str(one.blocks_remaining),
            ]
            for one in found.unbonding_delegations
        ],
        right={1, 2, 3},
    )
    say(_("{amount} CPC on the way back").format(amount=format_cpc(found.total_unbonding)))


def staking_client(context: typer.Context, nodes: NodeOptions) -> "NodeClient":
    """Return a client of nodes that answer these questions. Raises TakesNoResults on the v3 network."""
    client = nodes.connect(context)
    client.status()
    return client


def validator_address(text: str) -> str:
    """Return a validator's address, given as such or as its key's name. Raises NodeClientError."""
    from node_client.address import VALIDATOR_PREFIX, address_from_public_key, check_address

    if text.startswith((VALIDATOR_PREFIX, "cpc1")):
        return check_address(text, VALIDATOR_PREFIX)
    return address_from_public_key(
        KeysDirectory().keystore().info(text).public_key, VALIDATOR_PREFIX
    )


def state_of(one: "Validator") -> str:
    """Return a word for whether it takes part."""
    if one.is_jailed:
        return _("jailed until block {height}").format(height=one.jailed_until_height)
    return _("active") if one.is_active else _("not active")


def percent(rate: float | None) -> str:
    """Return a share as a person reads it."""
    return "-" if rate is None else f"{100 * rate:g} %"


def _plain(value: Any) -> Any:
    """Return JSON in which units are text: they are larger than most readers' numbers."""
    if isinstance(value, dict):
        return {
            name: str(held) if name in _AMOUNTS and isinstance(held, int) else _plain(held)
            for name, held in value.items()
        }
    return [_plain(held) for held in value] if isinstance(value, list) else value
