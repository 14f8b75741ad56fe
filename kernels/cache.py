"""The directory of compiled kernels and tuned configurations, kept between starts."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """`CPC_CACHE`, or `cpc-engine` in the user's directory for caches."""
    given = os.environ.get("CPC_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cpc-engine"
