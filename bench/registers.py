"""Compile every kernel for every kind of card with ptxas, and list registers, spills and shared memory.

    python -m bench.registers            # needs numba-cuda and ptxas (CUDA toolkit), but no GPU

A kernel that does not assemble for a card that its tier claims ends this with an error.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from numba import cuda
from numba.cuda import dispatcher, types

from kernels.cuda import check, expand, gather, pack
from kernels.cuda.commit import leaves, tree
from kernels.cuda.product.tiers import TIERS

CARDS = {
    (7, 5): "sm_75",
    (8, 0): "sm_80",
    (8, 6): "sm_86",
    (8, 9): "sm_89",
    (9, 0): "sm_90a",
    (12, 0): "sm_120",
}
OTHERS = {
    "expand": (expand.expand_kernel, 12),
    "leaves": (leaves.leaves_kernel, 7),
    "two levels of the tree": (tree.two_levels_kernel, 5),
    "seven or nine levels": (tree.reduce_kernel, 7),
    "check: u": (check.project_kernel, 5),
    "check: A u": (check.subtract_kernel, 5),
    "check: verdict": (check.verdict_kernel, 4),
    "openings": (gather.gather_kernel, 4),
    "pack": (pack.pack_kernel, 6),
}


def kernels_for(capability):
    """(name, kernel, how many arguments, dynamic shared memory) of everything that such a card runs."""
    for tier in TIERS:
        if not tier.runs_on(capability):
            continue
        configs = dict.fromkeys(
            config for size in (1024, 2048, 4096, 8192) for config in tier.configs(size, capability)
        )
        for config in configs:
            variants = [("fold", False, {}), ("fold", True, {}), ("int32", True, {})]
            if config.hashes_leaves:
                variants += [("fold", True, {"leaves": True})]
            for output, checked, options in variants:
                spec = tier.build(output, checked, config, **options)
                name = f"{tier.name} {config.name} {output}"
                name += " checked" * checked + " with leaves" * spec.leaves
                yield name, spec.kernel, spec.arguments, spec.shared_bytes
    for name, (kernel, arguments) in OTHERS.items():
        yield name, kernel, arguments, 0


def assemble(ptxas, kernel, arguments, capability):
    """What ptxas says of it: registers, bytes spilled, static shared memory. Raises RuntimeError."""
    arch = CARDS[capability]
    target = (*capability, "a") if arch.endswith("a") else capability
    # numba asks the current GPU what to compile device functions for.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=target)
    options = {}
    if bounds := kernel.targetoptions.get("launch_bounds"):
        options["launch_bounds"] = bounds
    ptx, _ = cuda.compile(
        kernel.py_func,
        types.void(*(types.int64,) * arguments),
        device=False,
        abi="numba",
        cc=target,
        **options,
    )
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "kernel.ptx"
        source.write_text(ptx)
        said = subprocess.run(
            [ptxas, "-v", f"-arch={arch}", source, "-o", source.with_suffix(".cubin")],
            capture_output=True,
            text=True,
        )
    if said.returncode:
        raise RuntimeError(said.stderr)

    def number(pattern):
        found = re.search(pattern, said.stderr)
        return int(found[1]) if found else 0

    return (
        number(r"Used (\d+) reg"),
        number(r"(\d+) bytes spill stores"),
        number(r"(\d+) bytes smem"),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", choices=CARDS.values(), help="only this one")
    arguments = parser.parse_args()
    ptxas = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
    if ptxas is None:
        sys.exit("ptxas is not here: install the CUDA toolkit, or nvidia-cuda-nvcc, onto the PATH")
    print(
        subprocess.run([ptxas, "--version"], capture_output=True, text=True).stdout.split("\n")[3]
    )
    table = {}
    cards = [card for card, arch in CARDS.items() if arguments.card in (None, arch)]
    for card in cards:
        for name, kernel, count, dynamic in kernels_for(card):
            registers, spilled, static = assemble(ptxas, kernel, count, card)
            cell = f"{registers}" + f" ({spilled} B spilled)" * bool(spilled)
            table.setdefault((name, dynamic + static), {})[card] = cell
    print("| kernel | shared memory, bytes |", " | ".join(CARDS[card] for card in cards), "|")
    print("| --- | --- |" + " --- |" * len(cards))
    for (name, shared), row in table.items():
        print(f"| {name} | {shared} |", " | ".join(row.get(card, "") for card in cards), "|")


if __name__ == "__main__":
    main()
