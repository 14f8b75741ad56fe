"""torch._int_mm, timed in a process of its own that waits between its turns."""

import subprocess

TORCH = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
print(torch.__version__, flush=True)
held = {}
for line in sys.stdin:
    kind, n, times = line.split()
    n = int(n)
    if n not in held:
        held.clear()
        A, B = (torch.randint(-128, 128, (n, n), dtype=torch.int8) for _ in range(2))
        held[n] = A, B.t(), torch.empty((n, n), dtype=torch.int32)
    A, B, C = held[n]
    taken = []
    for _ in range(int(times) + 1):
        started = time.perf_counter()
        torch._int_mm(A, B, out=C) if kind == "given" else torch._int_mm(A, B)
        taken.append(time.perf_counter() - started)
    print(sorted(taken[1:])[int(times) // 2], flush=True)
"""


class Torch:
    """torch._int_mm in a process of its own, one turn a call."""

    def __init__(self, python: str, threads: int) -> None:
        self._process = subprocess.Popen(
            [python, "-c", TORCH, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._read()

    def turn(self, kind: str, n: int, times: int) -> float:
        """Median seconds of so many products, the output "given" or "new"."""
        self._process.stdin.write(f"{kind} {n} {times}\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        return self._process.stdout.readline().strip()
