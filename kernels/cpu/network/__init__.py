"""Integer networks on the CPU, a whole graph as one compiled program.

    runner = prepare(graph, tier, team)    # runner.py; None where an operator has no step here
    outputs = runner.run(samples)

Read steps.py first: what a program is. tiles.py, depthwise.py, requantise.py and add.py are its
kernels, in LLVM IR; program.py runs it; layout.py says where values lie. The operators' own numpy
(kernels.network.graph) is the reference.
"""
