"""Compile every kernel for every kind of card with ptxas, and list registers, spills and shared memory.

    make registers                       # in an environment of its own; CI does it
    make registers CARDS="sm_75 sm_90a"  # only for these
    python -m bench.registers            # needs numba-cuda and ptxas (CUDA toolkit), but no GPU
    CPC_CUDA_COMPILER=mlir python -m bench.registers     # by numba-cuda-mlir instead

Exit code 1 for a kernel that does not assemble for a card that its tier claims, and for one that spills
more registers than KNOWN_SPILLS says.
"""

import argparse
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from kernels.cuda import check, expand, gather, pack, plain
from kernels.cuda.commit import leaf_tree, leaves, tree
from kernels.cuda.commit import rows as row_leaves
from kernels.cuda.compiler import MLIR, cuda, types
from kernels.cuda.network import entries, moves, rows, verdicts, windows  # noqa: F401 - they declare kernels
from kernels.cuda.network.kernel import KERNELS
from kernels.cuda.product.tiers import TIERS

CARDS = {
    (7, 5): "sm_75",
    (8, 0): "sm_80",
    (8, 6): "sm_86",
    (8, 9): "sm_89",
    (9, 0): "sm_90a",
    (10, 0): "sm_100",
    (12, 0): "sm_120",
}
KNOWN_SPILLS = {
    # 288 and 384 threads may have 168 registers each; measured as they are (bench/RESULTS.md).
    "wgmma 128x256-4-band12 fold checked with leaves": 4,
}
"""Bytes a thread that kernels whose names begin so may spill."""
if MLIR:
    KNOWN_SPILLS = {"wgmma": 24}  # never run: only compiled
WORDS = {
    "expand": (expand.expand_kernel, 12),
    "expand, and the check's u": (expand.expand_and_project_kernel, 12),
    "leaves": (leaves.leaves_kernel, 7),
    "leaves of 4,096 bytes": (row_leaves.row_leaves_kernel, 7),
    "leaves and six levels": (leaf_tree.leaf_tree_kernel, 8),
    "two levels of the tree": (tree.two_levels_kernel, 5),
    "seven or nine levels": (tree.reduce_kernel, 7),
    "check: u": (check.project_kernel, 5),
    "check: A u": (check.subtract_kernel, 5),
    "check: verdict": (check.verdict_kernel, 4),
    "check: verdict on a network's product": (verdicts.zero_sums_kernel, 3),
    "openings": (gather.gather_kernel, 4),
    "pack": (pack.pack_kernel, 6),
    "unpack": (plain.unpack_kernel, 5),
    "fold alone": (plain.fold_kernel, 3),
    "differences": (plain.differences_kernel, 6),
}
OTHERS = {name: (kernel, (types.int64,) * count) for name, (kernel, count) in WORDS.items()} | {
    f"network: {name}": (made.kernel, made.signature) for name, made in KERNELS.items()
}
"""Kernel and types of its arguments: those above take addresses and numbers alone."""


def kernels_for(capability):
    """(name, kernel, arguments' types, dynamic shared memory) of everything that such a card runs."""
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
            if config.sums_both_sides:
                variants += [("fold", True, {"both_sides": True})]
            for output, checked, options in variants:
                spec = tier.build(output, checked, config, **options)
                name = f"{tier.name} {config.name} {output}"
                name += " checked" * checked + " with leaves" * spec.leaves
                name += ", both sides" * ("both_sides" in options)
                yield name, spec.kernel, (types.int64,) * spec.arguments, spec.shared_bytes
    for name, (kernel, arguments) in OTHERS.items():
        yield name, kernel, arguments, 0


def name_card(capability, target):
    """Answer the compilers, which ask the current GPU what to compile device functions for."""
    if not MLIR:
        from numba.cuda import dispatcher

        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=target)
        return
    from numba_cuda_mlir.extending import refresh_registries

    def answer(kind=tuple):
        return capability if kind is tuple else f"sm_{capability[0]}{capability[1]}"

    for name, module in list(sys.modules.items()):
        if name.startswith("numba_cuda_mlir") and hasattr(module, "get_gpu_compute_capability"):
            module.get_gpu_compute_capability = answer
    refresh_registries()  # operations that were made since the last kernel


def compiled(kernel, arguments, capability):
    """Its PTX."""
    arch = CARDS[capability]
    target = (*capability, "a") if arch.endswith("a") else capability
    name_card(capability, target)
    options = {}
    if bounds := kernel.targetoptions.get("launch_bounds"):
        options["launch_bounds"] = bounds
    ptx, _ = cuda.compile(
        # numba-cuda-mlir takes the "a" of sm_90a here alone
        cuda.jit(kernel.py_func, chip=arch) if MLIR else kernel.py_func,
        types.void(*arguments),
        device=False,
        abi="numba",
        cc=target,
        **options,
    )
    return ptx


def assembled(ptxas, ptx, capability):
    """What ptxas says of it: registers, bytes spilled, static shared memory. Raises RuntimeError."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "kernel.ptx"
        source.write_text(ptx)
        arch = CARDS[capability]
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


def allowed(name):
    """Bytes a thread that this kernel may spill."""
    return max((most for start, most in KNOWN_SPILLS.items() if name.startswith(start)), default=0)


def find_ptxas():
    """From the PATH, the CUDA toolkit, or the package nvidia-cuda-nvcc."""
    wheels = [Path(entry, "nvidia", "cu13", "bin") for entry in sys.path]
    places = os.pathsep.join(map(str, [*wheels, "/usr/local/cuda/bin"]))
    return shutil.which("ptxas") or shutil.which("ptxas", path=places)


def report(ptxas, card, share, of):
    """What every `of`-th kernel of this card takes, from number `share` on.

    Returns tuples (card, number, name, shared bytes, registers, spilled bytes, what is wrong or None);
    one that does not compile or assemble has no registers.
    """
    found = []
    for number, (name, kernel, signature, dynamic) in enumerate(kernels_for(card)):
        if number % of != share:
            continue
        title = f"{name}, {CARDS[card]}"
        try:
            registers, spilled, static = assembled(ptxas, compiled(kernel, signature, card), card)
        except Exception as error:  # noqa: BLE001 - a compiler's failure is a finding
            found.append((card, number, name, dynamic, None, 0, f"{title}: {error}"))
            continue
        wrong = None
        if spilled > allowed(name):
            wrong = f"{title}: {spilled} bytes spilled, {allowed(name)} allowed"
        found.append((card, number, name, dynamic + static, registers, spilled, wrong))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--card", choices=CARDS.values(), action="append", help="only this one; may be repeated"
    )
    arguments = parser.parse_args()
    ptxas = find_ptxas()
    if ptxas is None:
        sys.exit("ptxas is not here: install the CUDA toolkit, or nvidia-cuda-nvcc, onto the PATH")
    said = subprocess.run([ptxas, "--version"], capture_output=True, text=True).stdout
    print(said.split("\n")[3])
    cards = [card for card, arch in CARDS.items() if arch in (arguments.card or CARDS.values())]
    # Two shares a process and card, so that none waits long for the others at the end.
    processes = os.cpu_count() or 1
    shares = [(card, share) for card in cards for share in range(2 * processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        work = [pool.submit(report, ptxas, *share, 2 * processes) for share in shares]
        found = sorted((row for done in work for row in done.result()), key=lambda row: row[:2])
    table = {}
    for card, _, name, shared, registers, spilled, _ in found:
        if registers is None:
            continue
        cell = f"{registers}" + f" ({spilled} B spilled)" * bool(spilled)
        table.setdefault((name, shared), {})[card] = cell
    print("| kernel | shared memory, bytes |", " | ".join(CARDS[card] for card in cards), "|")
    print("| --- | --- |" + " --- |" * len(cards))
    for (name, shared), row in table.items():
        print(f"| {name} | {shared} |", " | ".join(row.get(card, "") for card in cards), "|")
    if sentences := [wrong for *_, wrong in found if wrong]:
        sys.exit("\n".join(sentences))


if __name__ == "__main__":
    main()
