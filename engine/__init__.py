"""The engine: joins the chain (`node_client`) with the devices (`kernels`).

Read `miner.py` first: it tells the whole story, from a block seen to a result confirmed.
"""

__version__ = "0.1.0"
