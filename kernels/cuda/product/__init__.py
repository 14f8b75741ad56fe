"""The product on a GPU, C = A * transpose(B), folded into int8 or as int32.

Read `simt.py` first: any GPU, no tensor cores (`dp4a.py` swaps one instruction in). Then `epilogue.py`
(what becomes of accumulators on tensor cores), `warp.py` and `mma.py` (Ampere and later), `turing.py`;
`hopper.py` and `wgmma.py`, made of `wgmma_ring.py`, `wgmma_producer.py` and `wgmma_consumer.py`, with
`leaf_warps.py` hashing leaves beside it. `tiers.py` chooses.
"""
