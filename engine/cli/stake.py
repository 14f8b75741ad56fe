"""`cpc-engine tx stake|unstake|delegate|undelegate|unjail|update-validator`.

The node's proposer drops what its rules do not allow, and tells nobody. So what can be asked before
is asked first: whether the validator is there, is jailed, and has what is to be taken back.
"""

from functools import partial
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.config.groups import with_options
from engine.cli.options import Json, KeyFiles, NodeOptions
from engine.cli.query_stakes import staking_client, validator_address
from engine.cli.sending import From, PriceOptions, deliver
from engine.cli.tx import app

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
    from node_client.rpc import NodeClient
    from node_client.stakes import Validator
    from node_client.transaction import Transaction, TxType

__all__ = ["app"]

MOST_VALIDATORS = 10
"""Validators to which one account may delegate."""

MOST_POWER = 0.2
"""Share of all voting power above which the node drops a delegation."""

Amount = Annotated[str, typer.Argument(help=_("Amount in CPC, such as 100 or 0.5."))]
ToValidator = Annotated[
    str, typer.Argument(help=_("The validator's address, cpcvalcons1..., or its key's name."))
]


@app.command()
@with_options
def stake(
    context: typer.Context,
    amount: Amount,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    json: Json = False,
) -> None:
    """Become a validator, or add to its stake. Active from the next epoch on, with enough stake."""
    from node_client.networks import format_cpc, parse_cpc
    from node_client.transaction import TxType

    units = parse_cpc(amount)
    key = files.load_key(from_)
    draft = _draft(TxType.STAKE, key, units, {"pub_key": key.public_key})
    said = _("Staked {amount} CPC for validator {validator}.").format(
        amount=format_cpc(units), validator=key.validator_address
    )
    deliver(context, nodes, files, key, draft, price, said, json)


@app.command()
@with_options
def unstake(
    context: typer.Context,
    amount: Amount,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    accept_penalty: Annotated[
        bool,
        typer.Option("--accept-penalty", help=_("Unstake while jailed: a tenth is burned.")),
    ] = False,
    json: Json = False,
) -> None:
    """Take stake back from your own validator. The balance must cover the amount, too."""
    from engine.runtime.errors import BadInput
    from node_client.networks import format_cpc, parse_cpc
    from node_client.transaction import TxType

    units = parse_cpc(amount)
    key = files.load_key(from_)
    found = _validator(staking_client(context, nodes), key.validator_address)
    if found.power < units:
        raise BadInput(
            _("the validator has {power} CPC of stake: {amount} cannot be taken back").format(
                power=format_cpc(found.power), amount=format_cpc(units)
            )
        )
    if found.is_jailed and not accept_penalty:
        raise BadInput(
            _("the validator is jailed: a tenth of what is unstaked now is burned"),
            advice=_(
                "Wait until it is released, or pay for it: cpc-engine tx unjail. To lose the tenth:"
                " --accept-penalty"
            ),
        )
    draft = _draft(TxType.UNSTAKE, key, units, {"pub_key": key.public_key})
    said = _("Unstaked {amount} CPC from validator {validator}.").format(
        amount=format_cpc(units), validator=key.validator_address
    )
    deliver(context, nodes, files, key, draft, price, said, json)


@app.command()
@with_options
def delegate(
    context: typer.Context,
    validator: ToValidator,
    amount: Amount,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    json: Json = False,
) -> None:
    """Delegate coins to a validator, 100 CPC at least."""
    from node_client.networks import format_cpc, parse_cpc
    from node_client.transaction import TxType

    units = parse_cpc(amount)
    to = validator_address(validator)
    key = files.load_key(from_)
    draft = _draft(TxType.DELEGATE, key, units, {"validator": to})
    client = staking_client(context, nodes)
    _validator(client, to)
    _check_count(client, key.address, to)
    _warn_of_power(client, to, units)
    said = _("Delegated {amount} CPC to {validator}.").format(
        amount=format_cpc(units), validator=to
    )
    deliver(context, nodes, files, key, draft, price, said, json)


@app.command()
@with_options
def undelegate(
    context: typer.Context,
    validator: ToValidator,
    amount: Amount,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    json: Json = False,
) -> None:
    """Take a delegation back. It is paid out 100 blocks later; the balance must cover the amount."""
    from engine.runtime.errors import BadInput
    from node_client.networks import format_cpc, parse_cpc
    from node_client.stakes import get_delegations
    from node_client.transaction import TxType

    units = parse_cpc(amount)
    to = validator_address(validator)
    key = files.load_key(from_)
    found = staking_client(context, nodes).ask(partial(get_delegations, address=key.address))
    held = sum(one.amount for one in found.delegations if one.validator == to)
    if held < units:
        raise BadInput(
            _("{held} CPC are delegated to {validator}: {amount} cannot be taken back").format(
                held=format_cpc(held), validator=to, amount=format_cpc(units)
            )
        )
    draft = _draft(TxType.UNDELEGATE, key, units, {"validator": to})
    said = _("Took back {amount} CPC from {validator}.").format(
        amount=format_cpc(units), validator=to
    )
    deliver(context, nodes, files, key, draft, price, said, json)


@app.command()
@with_options
def unjail(
    context: typer.Context,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    json: Json = False,
) -> None:
    """Release your own validator from jail early, for 1,000 CPC, which are burned."""
    from engine.runtime.errors import BadInput
    from node_client.staking import UNJAIL_FEE
    from node_client.transaction import TxType

    key = files.load_key(from_)
    found = _own(_validator(staking_client(context, nodes), key.validator_address), key)
    if not found.is_jailed:
        raise BadInput(_("the validator {address} is not jailed").format(address=found.address))
    draft = _draft(TxType.UNJAIL, key, UNJAIL_FEE, {"pub_key": key.public_key})
    said = _("Paid for the release of validator {validator}.").format(validator=found.address)
    deliver(context, nodes, files, key, draft, price, said, json)


@app.command("update-validator")
@with_options
def update_validator(
    context: typer.Context,
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    name: Annotated[str | None, typer.Option(help=_("Name, 64 characters at most."))] = None,
    website: Annotated[str | None, typer.Option(help=_("Web address, 128 characters."))] = None,
    description: Annotated[str | None, typer.Option(help=_("Text, 256 characters."))] = None,
    commission: Annotated[
        float | None, typer.Option(help=_("Share of the delegators' rewards, 0 to 1."))
    ] = None,
    json: Json = False,
) -> None:
    """Change what your own validator says of itself; what is not named stays."""
    from node_client.staking import metadata
    from node_client.transaction import TxType

    key = files.load_key(from_)
    payload = metadata(
        key, name=name, website=website, description=description, commission=commission
    )
    draft = _draft(TxType.UPDATE_VALIDATOR, key, 0, payload)
    _own(_validator(staking_client(context, nodes), key.validator_address), key)
    said = _("Changed validator {validator}.").format(validator=key.validator_address)
    deliver(context, nodes, files, key, draft, price, said, json)


def _draft(kind: "TxType", key: "PrivateKey", units: int, payload: dict[str, Any]) -> "Transaction":
    """Return a draft; raise InvalidTransaction for what the node would drop, before it is asked."""
    from node_client.staking import check_staking
    from node_client.transaction import Transaction

    draft = Transaction(
        tx_type=kind, from_address=key.address, amount=units, nonce=0, payload=payload
    )
    check_staking(draft, key)
    return draft


def _validator(client: "NodeClient", address: str) -> "Validator":
    from engine.runtime.errors import BadInput
    from node_client.errors import NotFound
    from node_client.stakes import get_validator

    try:
        return client.ask(partial(get_validator, address=address))
    except NotFound:
        raise BadInput(
            _("there is no validator {address} on this chain").format(address=address),
            advice=_("`cpc-engine query validators` lists them; `tx stake` makes one."),
        ) from None


def _own(found: "Validator", key: "PrivateKey") -> "Validator":
    """Return the validator if the key is its owner's: the node lets nobody else change it."""
    from engine.runtime.errors import BadInput

    if found.reward_address != key.address:
        raise BadInput(
            _("validator {address} belongs to {owner}, not to {key}").format(
                address=found.address, owner=found.reward_address or "-", key=key.address
            )
        )
    return found


def _check_count(client: "NodeClient", account: str, to: str) -> None:
    from engine.runtime.errors import BadInput
    from node_client.stakes import get_delegations

    found = client.ask(partial(get_delegations, address=account))
    chosen = {one.validator for one in found.delegations}
    if to not in chosen and len(chosen) >= MOST_VALIDATORS:
        raise BadInput(
            ngettext(
                "the account delegates to {count} validator, and the node allows no more",
                "the account delegates to {count} validators, and the node allows no more",
                len(chosen),
            ).format(count=len(chosen))
        )


def _warn_of_power(client: "NodeClient", address: str, units: int) -> None:
    from node_client.stakes import get_validators

    powers = {one.address: one.power for one in client.ask(get_validators).validators}
    share = (powers.get(address, 0) + units) / (sum(powers.values()) + units)
    if share > MOST_POWER:
        typer.echo(
            _(
                "warning: the validator would have {share:.0f} % of all voting power; the node drops a"
                " delegation that makes it more than {most:.0f} %, and says nothing"
            ).format(share=100 * share, most=100 * MOST_POWER),
            err=True,
        )
