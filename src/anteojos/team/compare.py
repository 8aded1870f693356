"""Write what differs from another branch as a page that a person can read, and draw the plots of both."""

import shutil
import sys
from pathlib import Path

from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run
from anteojos.team.commands import dvc, revision

FOLDER = Path("comparison")
REPORT, PLOTS = FOLDER / "report.md", FOLDER / "plots"
# By this, CI finds its comment on a pull request again; a person does not see it.
MARK = "<!-- written by make compare -->"


def main() -> None:
    """Write the comparison with the commit that is named on the command line: report.md and plots."""
    base = revision(sys.argv[1])
    # Of another comparison, images would be left in it.
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    text = report(base) if base else f"{MARK}\nA new branch: nothing was there before to compare with.\n"
    with replacing(REPORT) as path:
        path.write_text(text, encoding="utf-8")
    print(text, end="")


def report(base: str) -> str:
    """Return the difference to `base` as Markdown, and draw its plots."""
    return "\n\n".join(
        (
            f"{MARK}\n### Compared with `{base}`",
            "**Metrics**",
            table(dvc("metrics", "diff", "--md", base)),
            "**Parameters**",
            table(dvc("params", "diff", "--md", base)),
            drawn(base) + "\n",
        )
    )


def table(markdown: str) -> str:
    """Return a table that DVC wrote, or say that there is nothing below its head."""
    rows = markdown.strip().splitlines()
    return "\n".join(rows) if len(rows) > 2 else "Nothing changed."


def drawn(base: str) -> str:
    """Draw the plots of `base` and of what is here; say where they are, or why not.

    DVC reads from the remote what is not in its cache, so nothing need be pulled before.
    """
    try:
        dvc("plots", "diff", base, "--out", str(PLOTS))
    except InputError as error:
        # The tables stand without them. It may be the remote that `base` names, and which is gone since.
        print(error, file=sys.stderr)
        return "No plots: DVC could not draw them; the log says why."
    if list(PLOTS.rglob("*.png")):
        return f"Plots: `{PLOTS}/index.html`, and the images in `{PLOTS}/static`."
    return "No plots: their data are neither here nor in a remote."


if __name__ == "__main__":
    run(main)
