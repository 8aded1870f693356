"""The parts of the documentation that are measured or generated: each is written by one command, between two marks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

MEASUREMENTS = Path("docs/explanation/measurements.md")
BENCHMARKS = Path("benchmarks/README.md")
# The measured numbers, which on_paper.py reads.
RESULTS = Path("benchmarks/results.json")


def mean_and_range(values: Sequence[float]) -> str:
    """Return the mean over the seeds with the lowest and highest value; for one seed, the value."""
    if len(values) == 1:
        return f"{np.mean(values):.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def over(seeds: Sequence[int]) -> str:
    """Return the words that name the seeds in a caption."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"mean over seeds {', '.join(map(str, seeds))}, with the lowest and highest"


def write_part(name: str, command: str, text: str, page: Path = MEASUREMENTS) -> None:
    """Write `text` between the two marks of the part `name` of a page, and print it.

    Raises ValueError if the page has no such marks.
    """
    written = with_part(page.read_text(encoding="utf-8"), name, command, text)
    page.write_text(written, encoding="utf-8")
    print(text)


def with_part(page: str, name: str, command: str, text: str) -> str:
    """Return a page with `text` between the two marks of the part `name`. Raises ValueError if there are no marks."""
    begin, end = f"<!-- {name}: written by {command} -->\n", f"\n<!-- {name}: end -->"
    start = page.index(begin) + len(begin)
    return page[:start] + text + page[page.index(end, start - 1) :]


def record(name: str, figures: Mapping[str, float], results: Path = RESULTS) -> None:
    """Store measured `figures` under the name of their script, in place of those of its last run."""
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    kept[name] = {figure: float(f"{value:.4g}") for figure, value in figures.items()}
    results.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
