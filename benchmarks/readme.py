"""The parts of README.md and benchmarks/README.md that are measured, written by the command that measures them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

README = Path("README.md")
BENCHMARKS = Path("benchmarks/README.md")
# What was measured, as numbers: what is reckoned on paper takes them from there.
RESULTS = Path("benchmarks/results.json")


def mean_and_range(values: Sequence[float]) -> str:
    """Write the mean of a figure over the seeds, and the lowest and highest; of one seed, the figure."""
    if len(values) == 1:
        return f"{np.mean(values):.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def over(seeds: Sequence[int]) -> str:
    """Say over which seeds a figure is measured."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"mean over seeds {', '.join(map(str, seeds))}, and the lowest and highest"


def write_part(name: str, command: str, text: str, page: Path = README) -> None:
    """Put `text` between the two marks of the part `name` of a page, and print it.

    Raises ValueError where there are no marks.
    """
    begin, end = f"<!-- {name}: written by {command} -->\n", f"\n<!-- {name}: end -->"
    written = page.read_text(encoding="utf-8")
    start, stop = written.index(begin) + len(begin), written.index(end)
    page.write_text(written[:start] + text + written[stop:], encoding="utf-8")
    print(text)


def record(name: str, figures: Mapping[str, float], results: Path = RESULTS) -> None:
    """Keep measured `figures` under the name of what measured them, in place of those of the last time."""
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    kept[name] = {figure: float(f"{value:.4g}") for figure, value in figures.items()}
    results.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
