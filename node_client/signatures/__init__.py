"""ECDSA over secp256k1: deterministic (RFC 6979), low s (BIP-62 rule 5), r || s in 64 bytes.

Two backends with the same functions and, to the byte, the same signatures:

    reference.py  python-ecdsa: readable, the tests' oracle. Its arithmetic takes a time that depends
                  on the secret, which its authors will not change (GHSA-wj6h-64fc-37mp)
    native.py     libsecp256k1 through coincurve: constant time, a hundred times as fast; what signs

Malformed signatures and public keys are False or nothing, never an exception: a node may send them on
purpose. Whether `s` is low is not asked of a signature to be checked, since the chain takes both.
"""

from node_client.signatures.native import derive_public_key, recover, sign, signer, verify

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of the group: SEC 2 v2, section 2.4.1."""

__all__ = ["ORDER", "derive_public_key", "recover", "sign", "signer", "verify"]
