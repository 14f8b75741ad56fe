"""From a TFLite file to a graph: int8 models as LiteRT's converter writes them.

    graph = import_tflite(content)      # importer.py; or NotImportable, which names every such node

reader.py reads the flatbuffer (package `tflite`) into plain values, checking every count before it is
used; scales.py turns real scales into integers as LiteRT does when it prepares a model; convert/ has a
function for each operator. This is the only place where a real scale decides anything.
"""
