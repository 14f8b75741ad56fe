"""Measurements: `cpc-engine bench`.

Read them in this order:

    stages.py         times each stage of a task on one device
    baselines.py      the same work by cuBLASLt, PyTorch, CuPy and Triton, where they are installed
    triton_matmul.py  the Triton baseline's kernel
    cublaslt.py       cuBLASLt through its own interface: workspace, heuristics, every answer
    contender.py      a way to multiply that can be timed, and which of several counts
    products.py       the products of one size on one GPU, each library's
    product_check.py  whether they are right, every element
    energy.py         watts, clock and joules from NVML
    product_run.py    several sizes, burst and steady state: `bench --table`
    product_table.py  its figures, as JSON and Markdown
    multi_device.py   several devices at once beside each of them alone
    report.py         a file of figures and versions for others: `bench --report`
    files.py          refuses a file that cannot be written before the work
    chart.py          draws the report
"""
