"""Print a report that somebody sent (`cpc-engine bench --report FILE`) as tables for RESULTS.md.

python -m bench.report rtx4090.json
"""

import sys
from pathlib import Path

from engine.benchmark import report
from engine.benchmark.product_table import Cell, Table
from engine.runtime.errors import BadInput
from kernels.energy import Draw


def tables(path):
    """Its lines. Raises BadInput for a file that is not whole."""
    content = report.read(path)
    bench, products = content["bench"], content["products"]
    yield f"{bench['device']}, {bench['processor']}, n = {bench['size']}, {content['system']}"
    yield f"cpc-engine {content['engine']}, driver {content['driver']}, {bench['versions']}"
    yield from ("", "| | stage | ms | TOPS |", "| --- | --- | --- | --- |")
    for row in bench["rows"]:
        if row["seconds"] is not None:
            rate = "" if row["tops"] is None else f"{row['tops']:.3g}"
            yield f"| {row['name']} | {row['stage']} | {1000 * row['seconds']:.4g} | {rate} |"
    if products is not None:
        cells = [Cell(**cell | {"draw": Draw(**cell["draw"])}) for cell in products["cells"]]
        yield ""
        yield from Table(**products | {"cells": cells}).markdown()


if __name__ == "__main__":
    try:
        print(*tables(Path(sys.argv[1])), sep="\n")
    except BadInput as error:
        sys.exit(str(error))
