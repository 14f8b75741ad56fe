"""Where a key may be nothing is unpickled that a child wrote: whoever unpickles runs what it says."""

import re
from pathlib import Path

ENGINE = Path(__file__).parents[3] / "engine"
UNPICKLES = re.compile(
    r"pickle\.(?:loads?|Unpickler)\b|\bUnpickler\(|ForkingPickler\.loads|reduction\.(?:loads|pickle)"
    r"|\.recv\(|\bmarshal\.loads?\b|\bshelve\b|\bdill\b|cloudpickle"
)
READS = re.compile(r"\bnext_order\(|\b(?:queue|tasks)\.get\(|ProcessPoolExecutor\(|\.Manager\(")
"""Calls that unpickle what came through a queue of multiprocessing, in files that use it."""
KEYLESS = {
    "pool/worker_main.py": "the child, which reads what its parent wrote",
    "pool/checker_main.py": "a checker, which reads what its parent wrote",
    "pool/ray/gateway.py": "the gateway, which reads what the engine wrote",
}


def sources():
    return {str(path.relative_to(ENGINE)): path.read_text() for path in ENGINE.rglob("*.py")}


def test_only_a_child_unpickles_and_only_what_its_parent_wrote():
    found = [
        f"{name}: {match[0]}"
        for name, text in sources().items()
        for match in UNPICKLES.finditer(text)
    ]
    assert found == ["pool/worker_main.py: pickle.loads"]


def test_queues_that_unpickle_are_read_where_no_key_is():
    used = {
        name: text
        for name, text in sources().items()
        if "multiprocessing" in text or "next_order(" in text
    }
    assert "pool/processes.py" in used
    assert {name for name, text in used.items() if READS.search(text)} == KEYLESS.keys()
    for name in KEYLESS:
        assert "PrivateKey" not in sources()[name]


def test_the_pattern_finds_what_it_looks_for():
    for line in (
        "message = pickle.loads(said)",
        "ForkingPickler.loads(data)",
        "order = orders.recv()",
        "pickle.Unpickler(file).load()",
    ):
        assert UNPICKLES.search(line)
    assert not UNPICKLES.search("line.recv_bytes(10)")
