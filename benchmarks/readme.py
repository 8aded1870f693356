"""The parts of README.md and benchmarks/README.md that are measured, written by the command that measures them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

README = Path("README.md")
BENCHMARKS = Path("benchmarks/README.md")


def mean_and_range(values: Sequence[float]) -> str:
    """Write the mean of a figure over the seeds, and from where to where it went."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def write_part(name: str, command: str, text: str, page: Path = README) -> None:
    """Put `text` between the two marks of the part `name` of a page, and print it.

    Raises ValueError where there are no marks.
    """
    begin, end = f"<!-- {name}: written by {command} -->\n", f"\n<!-- {name}: end -->"
    written = page.read_text(encoding="utf-8")
    start, stop = written.index(begin) + len(begin), written.index(end)
    page.write_text(written[:start] + text + written[stop:], encoding="utf-8")
    print(text)
