"""From an ONNX file to a graph: quantised models (QDQ, QLinear), and float ones quantised here.

    imported = import_onnx(content)                      # importer.py; or NotImportable
    imported = quantise_onnx(content, samples)           # quantise.py: float models, calibrated

reader.py turns the file (package `onnx`) into plain values, checking every count before it is used.
evaluate.py computes operators in numpy: constants are folded by it, and float models calibrated. Then
convert/ has a function for each operator, the same for both kinds of file: it takes values whose scale
is known (values.py), and gives either such a value, or one that waits for a scale. A file says the
scale with a QuantizeLinear; a calibration says it when somebody needs the value.

ONNX stores images as NCHW, this program as NHWC: a value says which (`channels_last`), and is turned
only where an operator needs the other order.
"""
