"""Networks as graphs of operators, exact to the bit in LiteRT's (TensorFlow Lite's) int8 semantics.

    graph = decode_graph(content)                 # file.py: version 2 of the model file
    outputs = run_graph(graph, samples, fast(device))   # run.py; or with REFERENCE, to be read

Read fields.py and operator.py first (what an operator is), then a family of operators each:
products.py, convolutions.py, elementwise.py, moves.py, windows.py, softmax.py. Each operator has its
shape rule, its cost and its formula in numpy in one place; what deserves a faster path than numpy
goes through a `Backend` (backend.py), of which there is a reference and one with compiled kernels.

No operator knows a real scale: whoever makes a graph turns scales into integers
(kernels.network.tflite).
"""
