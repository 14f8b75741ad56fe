"""Look up the locked dependencies in the database of known vulnerabilities, with pip-audit.

    python packaging/audit.py

Exit code 1 where one is vulnerable. Where no database is in reach, as in a build without network, that
is said, and is no failure: nothing is known then.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
PATIENCE_SECONDS = 120


def main() -> int:
    """Audit every lock file."""
    if not _reaches_a_database():
        print("pip-audit: no database of vulnerabilities is in reach, so nothing was looked up")
        return 0
    vulnerable = 0
    for lock in LOCKS:
        found = _audit(ROOT / lock)
        unknown = [one["name"] for one in found if "skip_reason" in one]
        print(f"{lock}: {len(found) - len(unknown)} packages looked up; not found: {unknown}")
        for one in found:
            for vulnerability in one.get("vulns", []):
                print(f"{lock}: {one['name']} {one['version']}: {vulnerability['id']}")
                vulnerable += 1
    return 1 if vulnerable else 0


def _reaches_a_database() -> bool:
    """Ask for one package only: without a network each of them would be waited for."""
    lines = (ROOT / LOCKS[0]).read_text(encoding="utf-8").splitlines(keepends=True)
    end = next(at for at, line in enumerate(lines) if not line.rstrip().endswith("\\"))
    with tempfile.NamedTemporaryFile("w", suffix=".lock", encoding="utf-8") as one:
        one.writelines(lines[: end + 1])
        one.flush()
        return any("skip_reason" not in found for found in _audit(Path(one.name)))


def _audit(lock: Path) -> list[dict]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes"]
    command += ["--disable-pip", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        return json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []


if __name__ == "__main__":
    sys.exit(main())
