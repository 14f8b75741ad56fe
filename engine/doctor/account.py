"""Check key, nodes, network, clock and balance."""

import os
import time
from collections.abc import Sequence
from gettext import gettext as _
from pathlib import Path

from engine.node.agreement import disagreements
from engine.node.preflight import (
    Chain,
    Check,
    check_balance,
    check_clock,
    check_gas_price,
    check_network,
    check_transport,
    look_at_chain,
)
from engine.runtime.errors import SetupError
from node_client.errors import InvalidData, KeyNotFound, KeystoreError, NodeClientError
from node_client.evidence import Evidence
from node_client.keystore import KeyInfo, Keystore
from node_client.passphrase import is_in_environment
from node_client.private_file import advice_for, exposure_of
from node_client.rpc import NodeClient, Retries

SLOW_NODE_SECONDS = 2.0
SECOND_LOOK_SECONDS = 1.0
"""So long after nodes were found to disagree they are compared again: a block may have come."""


def check_key(
    name: str, directory: Path | None, passphrase_file: Path | None
) -> tuple[str | None, list[Check]]:
    """Return the account's address (None without a key) and the findings about its files."""
    try:
        info = Keystore(directory).info(name)
    except KeyNotFound as error:
        fix = _("Make it: cpc-engine init, or cpc-engine keys add {name}").format(name=name)
        return None, [Check("key", "fail", str(error), fix)]
    except KeystoreError as error:
        return None, [Check("key", "fail", str(error), error.advice)]
    if info.warnings:
        # Neither is used as it is: mine would refuse it.
        found = Check("key", "fail", info.address, " ".join(info.warnings))
    else:
        found = Check("key", "ok", f"{name}: {info.address}")
    return info.address, [found, *_check_passphrase(info, passphrase_file)]


def _check_passphrase(info: KeyInfo, file: Path | None) -> list[Check]:
    if not info.encrypted:
        return []
    if file is None:
        if is_in_environment():
            return [Check("passphrase", "ok", _("in CPC_PASSPHRASE"))]
        found = _("the key is encrypted, and no file holds its passphrase: mine will ask for it")
        fix = _("For a service: --passphrase-file, a file of mode 600.")
        return [Check("passphrase", "warn", found, fix)]
    try:
        with file.open("rb") as words:
            exposed = exposure_of(os.fstat(words.fileno()), file)
    except OSError as error:
        fix = _("Name a file that holds the passphrase with --passphrase-file.")
        return [Check("passphrase", "fail", f"{file}: {error.strerror}", fix)]
    if exposed:
        return [Check("passphrase", "fail", exposed, advice_for(file))]
    return [Check("passphrase", "ok", str(file))]


def check_chain(urls: Sequence[str], address: str | None, gas_price: int | None) -> list[Check]:
    """Check each node, then chain and account by a node that answers and is believed."""
    checks: list[Check] = []
    chain: Chain | None = None
    good: NodeClient | None = None
    for url in urls:
        found, client, seen = _look_at(url)
        checks.append(found)
        if good is None and seen is not None:
            good, chain = client, seen
    try:
        every = NodeClient(urls, retries=Retries(rounds=1), evidence=Evidence())
    except InvalidData:  # it stands among the checks: a URL, or the way to it
        return checks + _not_looked_at()
    transport = check_transport(every)
    if transport.state != "ok":
        checks.append(transport)
    if good is None or chain is None:
        return checks + _not_looked_at()
    for at, check in enumerate(checks):
        if check.state == "fail":  # another node answers and is used instead
            checks[at] = Check("node", "warn", check.found, check.fix)
    if len(urls) > 1:
        agreement, agreed = _compare(every, address)
        checks.append(agreement)
        if agreed is not None:
            good, chain = every, agreed
    price = chain.network.min_gas_price if gas_price is None else gas_price
    checks += [check_network(chain), check_clock(chain), check_gas_price(chain.network, price)]
    if address is None:
        checks.append(Check("balance", "skip", _("not checked: there is no key")))
    else:
        try:
            checks.append(check_balance(good, address, chain.network, price))
        except NodeClientError as error:
            checks.append(Check("balance", "fail", str(error), error.advice))
    return checks


def _look_at(url: str) -> tuple[Check, NodeClient | None, Chain | None]:
    started = time.monotonic()
    try:
        client = NodeClient([url], retries=Retries(rounds=1))
        chain = look_at_chain(client)
    except (NodeClientError, SetupError) as error:
        return Check("node", "fail", str(error), error.advice), None, None
    seconds = time.monotonic() - started
    found = _("{url} answers, {seconds:.2f} s").format(url=client.urls[0], seconds=seconds)
    if seconds > SLOW_NODE_SECONDS:
        fix = _("Use a nearer node, or check the network: blocks do not wait.")
        return Check("node", "warn", found, fix), client, chain
    return Check("node", "ok", found), client, chain


def _compare(client: NodeClient, address: str | None) -> tuple[Check, Chain | None]:
    """Check that several nodes serve one chain, and say the same of the account."""
    try:
        chain = look_at_chain(client)
    except (NodeClientError, SetupError) as error:
        return Check("agreement", "fail", str(error), error.advice), None
    found = disagreements(client, address)
    if found:
        time.sleep(SECOND_LOOK_SECONDS)
        again = disagreements(client, address)
        found = [sentence for sentence in found if sentence in again]
    if found:
        fix = _("Leave the one that is wrong out of --node.")
        return Check("agreement", "warn", "; ".join(found), fix), chain
    return Check("agreement", "ok", _("the nodes that answer agree")), chain


def _not_looked_at() -> list[Check]:
    names = ("network", "clock", "gas price", "balance")
    return [Check(name, "skip", _("not checked: no node answers")) for name in names]
