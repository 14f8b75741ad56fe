"""Integer networks on the CPU, a whole graph as one compiled program.

    runner = prepare(graph, tier, team)    # runner.py; None where an operator has no step here
    outputs = runner.run(samples)

Read steps.py first: what a program is. plan.py makes one: layout.py says where values lie, weights.py
and scaling.py bring an operator's numbers into the form that kernels take. The kernels are LLVM IR:
tiles.py, depthwise.py, pool.py and add.py, with requantise.py and pack.py, which make bytes of sums.
program.py and others.py run the steps, by addresses (access.py). The operators' own numpy
(kernels.network.graph) is the reference.
"""
