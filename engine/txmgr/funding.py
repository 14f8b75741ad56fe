"""How an account gets coins: advice that is true for its network, and for the account itself.

>>> advice_to_fund("cpc1...", "devnet", "http://localhost:8000")
'Fund it: cpc-engine tx send cpc1... 10 --from faucet --node http://localhost:8000'

Only a devnet has a faucet key, and the faucet cannot fund itself.
"""

from gettext import gettext as _

from node_client.errors import KeystoreError
from node_client.keystore import Keystore
from node_client.networks import Network

FAUCET_NETWORK = "devnet"
FAUCET_KEY = "faucet"


def advice_to_fund(address: str, network: str, node: str, keys: Keystore | None = None) -> str:
    """Return one sentence on where coins for `address` come from on this network.

    `node`: a node's URL, for the command. `keys`: where the faucet's key would be.
    """
    if network != FAUCET_NETWORK:
        return _(
            "Send coins to {address} from an account that has some ({network} has no faucet key):"
            " cpc-engine tx send {address} AMOUNT --from KEY --node {node}"
        ).format(address=address, network=network, node=node)
    if address == _faucet_address(keys or Keystore()):
        return _(
            "This is the faucet's own account: use the key that the devnet at {node} gave its coins"
            " to, or start a devnet with this one: cpc-engine devnet --faucet {name}"
        ).format(node=node, name=FAUCET_KEY)
    return _("Fund it: cpc-engine tx send {address} 10 --from {name} --node {node}").format(
        address=address, name=FAUCET_KEY, node=node
    )


def advice_on_price(network: Network) -> str:
    """Return what to do where a node wants a higher price: it may be lying."""
    return _(
        "{network} is known to take {least} units a gas; before you pay more, ask another node:"
        " --node URL"
    ).format(network=network.name, least=network.min_gas_price)


def _faucet_address(keys: Keystore) -> str | None:
    try:
        return keys.info(FAUCET_KEY).address
    except KeystoreError:
        return None
