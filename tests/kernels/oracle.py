"""The specification written down once more in plain Python: no numpy, no clever step, tiny n only.

It shares nothing with `kernels/`, and serves as the oracle for everything there.
"""

import hashlib

MASK = 0xFFFFFFFF


def tagged(tag: str, message: bytes) -> bytes:
    prefix = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(prefix + prefix + message).digest()


def philox(counter: list[int], key: list[int]) -> list[int]:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return [c0, c1, c2, c3]


def entry(half_seed: bytes, row: int, k: int) -> int:
    s = [int.from_bytes(half_seed[i : i + 4], "little") for i in (0, 4, 8, 12)]
    words = philox([k // 16, row, s[2], s[3]], [s[0], s[1]])
    byte = b"".join(word.to_bytes(4, "little") for word in words)[k % 16]
    return byte - 256 if byte > 127 else byte


def matrix(half_seed: bytes, n: int) -> list[list[int]]:
    return [[entry(half_seed, row, k) for k in range(n)] for row in range(n)]


def fold(c: int) -> int:
    byte = (c ^ (c >> 8)) & 0xFF
    return byte - 256 if byte > 127 else byte


def result(seed: bytes, n: int, iterations: int) -> list[list[int]]:
    R, B = matrix(seed[:16], n), matrix(seed[16:], n)
    for _ in range(iterations):
        R = [[fold(sum(x * y for x, y in zip(r, b, strict=True))) for b in B] for r in R]
    return R


def leaves(R: list[list[int]]) -> list[bytes]:
    digests = []
    for row in R:
        raw = bytes(x % 256 for x in row)
        digests += [tagged("cpc/leaf", raw[i : i + 256]) for i in range(0, len(raw), 256)]
    return digests


def root(nodes: list[bytes]) -> bytes:
    """RFC 6962's recursion: split at the largest power of two below the count."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1
    while 2 * split < len(nodes):
        split *= 2
    return tagged("cpc/node", root(nodes[:split]) + root(nodes[split:]))


def siblings(nodes: list[bytes], opened: set[int]) -> bytes:
    """Level by level: the sibling of every known node whose own sibling is not known."""
    out, level, known = [], nodes, opened
    while len(level) > 1:
        for position in range(len(level)):
            pair = position - 1 if position % 2 else position + 1
            if position not in known and pair in known:
                out.append(level[position])
        parents = []
        for i in range(0, len(level), 2):
            pair_of_two = level[i : i + 2]
            parents.append(
                tagged("cpc/node", b"".join(pair_of_two)) if len(pair_of_two) == 2 else level[i]
            )
        known = {position // 2 for position in known}
        level = parents
    return b"".join(out)


def opened(root_digest: bytes, seed: bytes, n: int, iterations: int, k: int) -> list[int]:
    count = n * ((n + 255) // 256)
    found: list[int] = []
    j = 0
    while len(found) < k:
        numbers = b"".join(x.to_bytes(4, "little") for x in (n, iterations, j))
        digest = tagged("cpc/opening", root_digest + seed + numbers)
        leaf = int.from_bytes(digest[:8], "little") % count
        if leaf not in found:
            found.append(leaf)
        j += 1
    return found


def proof(seed: bytes, n: int, iterations: int, k: int) -> tuple[bytes, str]:
    """Root and proof of a whole task."""
    digests = leaves(result(seed, n, iterations))
    top = root(digests)
    chosen = opened(top, seed, n, iterations, k)
    header = b"\x01" + b"".join(x.to_bytes(4, "little") for x in (n, iterations, k))
    rest = siblings(digests, set(chosen)) if chosen else b""
    return top, (header + rest).hex()
