"""A market with workers that are killed and connections that are cut: every task ends once, right.

    python -m tests.engine.poc_worker.soak --tasks 1000 --workers 3 --seed 7

A real validator, real workers, each a process with a child of its own, and a proxy between them that
cuts connections. A saboteur kills workers, their children, the validator, and cuts; then a judge
computes every task again and reads the validator's books.
"""
