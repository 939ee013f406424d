"""Time things in turn, so that a machine that grows slower or faster in between does not matter."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

# Compiled modules are kept, as on a student's machine; where something forbids it, figures lie.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def medians(runs: int, **things: Callable[[], object]) -> dict[str, float]:
    """Call each thing `runs` times, in turn, after once unmeasured; return medians in seconds."""
    took: dict[str, list[float]] = {name: [] for name in things}
    for run in range(runs + 1):
        for name, thing in things.items():
            began = time.perf_counter()
            thing()
            if run:
                took[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def report(what: str, seconds: float, baseline: float, of: str) -> None:
    """Print a median, and its ratio to a baseline of the same run."""
    print(f"{what:<44} {seconds:9.5f} s   {seconds / baseline:5.2f} × {of}")
