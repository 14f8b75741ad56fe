"""The network's numbers for a block's task, and this program's defaults for proofs.

A file of its own, so that the command line's help imports nothing else.
"""

DEFAULT_SIZE = 1024
DEFAULT_ITERATIONS = 1
DEFAULT_OPENINGS = 16
LEAST_SIZE = 16
"""Below it a size serves tests only (section 1 of the specification)."""
MOST_SIZE = 16_384
"""The largest size that a proof's own word is taken for: to check it takes up to 2^28 entries of B by
the proof, and 2^42 multiply-adds in full. A larger one, up to the specification's 65,536, must be
asked for."""
MAX_TASKS_PER_BLOCK = 16
TASK_LIFETIME_BLOCKS = 100
"""A block's task counts only while the block is among the last 100 of the verifier's chain."""
