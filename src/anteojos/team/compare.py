"""Write the differences from another branch as a Markdown page, and draw the plots of both."""

import shutil
import sys
from pathlib import Path

from anteojos.evaluation import majority
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.team.commands import dvc, revision
from anteojos.team.metrics import EVALUATE, read, read_at, require_scores
from anteojos.team.metrics import FOLDER as METRICS

FOLDER = Path("comparison")
PAGE, PLOTS = FOLDER / "comparison.md", FOLDER / "plots"
# CI finds its earlier comment on a pull request by this line.
MARK = "<!-- written by make compare -->"


def write(base: str) -> None:
    """Write and print the comparison with the commit `base`, and draw the plots. Raises InputError if it is unknown."""
    base = revision(base)
    # An earlier comparison may have other images.
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    text = comparison(base) if base else f"{MARK}\nA new branch: there is no earlier commit to compare with.\n"
    with replacing(PAGE) as path:
        path.write_text(text, encoding="utf-8")
    print(text, end="")


def comparison(base: str) -> str:
    """Return the differences from `base` as Markdown, and draw the plots."""
    for path in sorted(METRICS.glob("*.json")):
        read(path), read_at(path, base)  # raise an error if a metric cannot be compared
    sections = [f"{MARK}\n### Compared with `{base}`", *accuracies()]
    for title, kind in (("Metrics", "metrics"), ("Parameters", "params")):
        rows = dvc(kind, "diff", "--md", base).strip().splitlines()
        # The first two rows are the head of the table.
        sections += [f"**{title}**", "\n".join(rows) if len(rows) > 2 else "Nothing changed."]
    return "\n\n".join([*sections, draw_plots(base) + "\n"])


def accuracies() -> list[str]:
    """Return a list in Markdown with the accuracy on each split of this checkout, or nothing."""
    if not EVALUATE.is_file():
        return []
    metrics = read(EVALUATE)
    scores = {split: require_scores(metrics, split, str(EVALUATE)) for split in metrics}
    lines = [
        f"- {split}: accuracy {score['accuracy']:.3f} of {score['n']} images; {majority.compare(score)}"
        for split, score in scores.items()
        if "majority_accuracy" in score
    ]
    return ["\n".join(lines)] if lines else []


def draw_plots(base: str) -> str:
    """Draw the plots of `base` and of this checkout; return where they are, or why there are none.

    DVC reads data that are not in its cache from the remote.
    """
    try:
        dvc("plots", "diff", base, "--out", str(PLOTS))
    except InputError as error:
        # The tables are useful without plots. The remote in `base` may no longer exist.
        print(error, file=sys.stderr)
        return "No plots: DVC could not draw them; see the log."
    if list(PLOTS.rglob("*.png")):
        return f"Plots: `{PLOTS}/index.html`, and the images in `{PLOTS}/static`."
    return "No plots: their data are neither in DVC's cache nor in a remote."
