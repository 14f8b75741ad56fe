"""Digests to sign, and the check of a signature. T and H: see `kernels/digest.py`; H is SHA-256.

The tagged hash keeps these signatures apart from those under transactions: no transaction's text
begins with the 64 bytes of a tag's prefix.
"""

import hashlib
from typing import Any

from engine.poc_protocol.strict_json import canonical
from kernels.digest import tagged_hash
from node_client.address import address_from_public_key
from node_client.errors import InvalidKey
from node_client.keys import verify_digest

HELLO_TAG = "cpc/hello"
RESULT_TAG = "cpc/job-result"


def hello_digest(nonce: str, chain_id: str, url: str, worker_address: str) -> bytes:
    """T("cpc/hello", nonce || H(chain_id) || H(URL as dialled) || H(worker_address)), 32 bytes.

    `nonce`: the validator's, 64 hex digits.
    """
    return tagged_hash(
        HELLO_TAG, bytes.fromhex(nonce) + _h(chain_id) + _h(url) + _h(worker_address)
    )


def result_digest(
    nonce: str,
    *,
    job_id: str,
    task_id: str,
    payload: dict[str, Any] | bytes,
    worker_address: str,
    result_hash: str,
    proof: str | None,
) -> bytes:
    """T("cpc/job-result", nonce || H(job_id) || H(task_id) || H(payload) || H(worker_address)
    || H(result_hash) || H(proof or "")), 32 bytes.

    `payload` may be given as its `payload_digest`.
    """
    return result_digest_of_hashes(
        nonce,
        job_id=job_id,
        task_id=task_id,
        payload=payload if isinstance(payload, bytes) else payload_digest(payload),
        worker_address=worker_address,
        result_hash=result_hash,
        proof=_h(proof or ""),
    )


def result_digest_of_hashes(
    nonce: str,
    *,
    job_id: str,
    task_id: str,
    payload: bytes,
    worker_address: str,
    result_hash: str,
    proof: bytes,
) -> bytes:
    """Return the same, from H(payload) and H(proof or ""): all that a receipt has of them."""
    return tagged_hash(
        RESULT_TAG,
        bytes.fromhex(nonce)
        + _h(job_id)
        + _h(task_id)
        + payload
        + _h(worker_address)
        + _h(result_hash)
        + proof,
    )


def payload_digest(payload: dict[str, Any]) -> bytes:
    """H of the payload's JSON as in transactions: keys sorted, no spaces, ASCII; 32 bytes."""
    return text_digest(canonical(payload))


def text_digest(text: str) -> bytes:
    """Return the same of the payload's canonical text."""
    return hashlib.sha256(text.encode("ascii")).digest()


def is_signed_by(public_key: str, worker_address: str, digest: bytes, signature: str) -> bool:
    """Whether the address is the key's and the signature fits. False for malformed input."""
    try:
        owner = address_from_public_key(public_key)
    except InvalidKey:
        return False
    return owner == worker_address and verify_digest(public_key, digest, signature)


def _h(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
