"""What stands between a machine and its first confirmed result, each finding with its fix.

`machine.py` looks at Python, packages, memory and ports, `gpus.py` at driver, CUDA packages and GPUs,
`device_test.py` computes on a device in a process of its own, `account.py` looks at key, node and
chain. Every function gives `Check`s and raises nothing: on a broken machine, all of them still speak.
"""
