"""The product on a CPU: microkernels, the packing they want, and the loops around them.

A microkernel multiplies one *panel* of A by one panel of B, 32 rows each, along some of k:

    C[32][32] += A[32][k ... k + 4 q] * transpose(B[32][k ... k + 4 q])        q "quads" of 4 int8

`microkernel.py` says what one is; `amx.py`, `vnni.py` and `pairs.py` are three kinds of them,
`reference.py` does the same in numpy, `blocks.py` has the loops, `packing.py` brings rows into panels,
`tiers.py` chooses.

B's panels look the same for all of them, "quads":

    B[panel][k / 4][32 rows][4]      one int32 holds 4 neighbours of a row

so that a vector load takes the same quad of 16, 8 or 4 rows, which are columns of C; and so that Philox
can write them there directly (`kernels.cpu.philox`). How A's panels look is the microkernel's choice.
"""
