"""Networks wholly on a card: samples in, outputs and their commitment out, nothing else on the bus.

In the order to read: `kernel.py` how a kernel is declared; `fixed.py`, `words.py`, `entries.py`,
`moves.py`, `windows.py`, `rows.py` the kernels; `machine.py` what they run on; `model.py`,
`products.py`, `operators.py` each operator; `run.py` a whole graph, `replay.py` the same recorded;
`jobs.py` what a device offers for jobs, and when it may; `trial.py` the known-answer test that decides
it; `card.py` the driver's machine, with its memory in `memory.py`, and `verdicts.py` the kernel that
sums up its checks.
"""
