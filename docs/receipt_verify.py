"""Verify a receipt of a ComputeChain validator with nothing of cpc-engine: hashlib and ecdsa only.

    python receipt_verify.py receipt.json [--validator PUBLIC_KEY_OR_ADDRESS] [--output output.bin]

Exit code 0: valid; 1: not valid, with the reason; 2: not a receipt."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from ecdsa import BadSignatureError, SECP256k1, VerifyingKey


def sha(data):
    return hashlib.sha256(data).digest()


def tagged(tag, data):  # BIP-340
    return sha(sha(tag.encode()) * 2 + data)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def require(condition, what):
    if not condition:
        sys.exit("NOT VALID: " + what)


def bech32(data, prefix="cpc"):  # the address (BIP-173) of 20 bytes
    number, letters = int.from_bytes(data, "big"), "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    words = [number >> (155 - 5 * i) & 31 for i in range(32)]
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for word in [*spread, *words, 0, 0, 0, 0, 0, 0]:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ word
        for i, mix in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mix if top >> i & 1 else 0
    words += [(check ^ 1) >> (25 - 5 * i) & 31 for i in range(6)]
    return prefix + "1" + "".join(letters[word] for word in words)


def signed(public_key, address, digest, signature):
    key = VerifyingKey.from_string(bytes.fromhex(public_key), curve=SECP256k1)
    key.verify_digest(bytes.fromhex(signature), digest)
    return address == bech32(hashlib.new("ripemd160", sha(bytes.fromhex(public_key))).digest())


def matrix_hash(rows, columns, entry_bytes, data):  # docs/jobs.md, "Hash of a matrix"
    width = columns * entry_bytes
    lines = [data[i * width : (i + 1) * width] for i in range(rows)]
    level = [tagged("cpc/leaf", one[i : i + 4096]) for one in lines for i in range(0, width, 4096)]
    while len(level) > 1:
        pairs = [tagged("cpc/node", a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[2 * len(pairs) :]
    form = bytes([entry_bytes]) + rows.to_bytes(4, "little") + columns.to_bytes(4, "little")
    return tagged("cpc/matrix", form + level[0]).hex()


def main(file, validator, output):
    receipt = json.loads(text := Path(file).read_bytes())
    require(text.rstrip(b"\n") == canonical(receipt), "the file is not in its canonical form")
    lower = receipt["signature"] == receipt["signature"].lower()
    require(
        lower and set(receipt) == {"body", "signature"}, "it has other fields than it must have"
    )
    body, signer = receipt["body"], receipt["body"]["validator"]
    require(
        validator in (None, *signer.values()), "it is another validator's: " + signer["address"]
    )
    digest = tagged("cpc/receipt", canonical(body))
    require(
        signed(signer["public_key"], signer["address"], digest, receipt["signature"]), "signature"
    )
    for worker in body["workers"]:
        said = bytes.fromhex(worker["nonce"] or "") + sha(worker["job_id"].encode())
        said += sha(body["task_id"].encode()) + bytes.fromhex(body["payload_sha256"])
        said += b"".join(sha(text.encode()) for text in (worker["address"], body["result_hash"]))
        digest = tagged("cpc/job-result", said + bytes.fromhex(body["proof_sha256"]))
        names = [worker[name] for name in ("public_key", "address", "signature")]
        require(names[2] is None or signed(*names[:2], digest, names[2]), "a worker's signature")
    if output is not None:
        data = Path(output).read_bytes()
        m, n, s = (body["matrix"][name] for name in ("rows", "columns", "entry_bytes"))
        right = len(data) == m * n * s and matrix_hash(m, n, s, data) == body["result_hash"]
        require(right, "the output has another hash or size")
    print("valid: signed by", signer["address"], signer["public_key"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for argument in ("file", "--validator", "--output"):
        parser.add_argument(argument)
    try:
        main(**vars(parser.parse_args()))
    except BadSignatureError:
        sys.exit("NOT VALID: a signature is another key's")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        sys.exit(print("not a receipt:", error) or 2)
