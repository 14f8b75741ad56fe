"""What a machine lacks for its first confirmed result; each finding comes with its fix.

`running.py` asks engines that run already, `machine.py` checks Python, packages, memory and ports,
`gpus.py` driver, CUDA packages and GPUs, `account.py` key, node and chain; `device_test.py` computes on
a device in a process of its own. Every function returns `Check`s and raises nothing, so that a broken
machine still gets a full report.
"""
