"""The network's numbers for a block's task, and this program's defaults for proofs.

A file of its own, so that the command line's help imports nothing else.
"""

DEFAULT_SIZE = 1024
DEFAULT_ITERATIONS = 1
DEFAULT_OPENINGS = 16
MAX_TASKS_PER_BLOCK = 16
TASK_LIFETIME_BLOCKS = 100
"""A block's task counts only while the block is among the last 100 of the verifier's chain."""
