"""The parts of README.md that are measured, and so written by the command that measures them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

README = Path("README.md")


def mean_and_range(values: Sequence[float]) -> str:
    """Write the mean of a figure over the seeds, and from where to where it went."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def write_part(name: str, command: str, text: str) -> None:
    """Put `text` between the two marks of the part `name`, and print it. Raises ValueError where there are no marks."""
    begin, end = f"<!-- {name}: written by {command} -->\n", f"\n<!-- {name}: end -->"
    readme = README.read_text(encoding="utf-8")
    start, stop = readme.index(begin) + len(begin), readme.index(end)
    README.write_text(readme[:start] + text + readme[stop:], encoding="utf-8")
    print(text)
