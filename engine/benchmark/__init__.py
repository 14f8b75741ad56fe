"""Measurements: `cpc-engine bench`.

Read them in this order:

    stages.py         times each stage of a task on one device
    baselines.py      the same work by PyTorch, cuBLAS, CuPy and Triton, where they are installed
    triton_matmul.py  the Triton baseline's kernel
    multi_device.py   several devices at once beside each of them alone
    chart.py          draws the report
"""
