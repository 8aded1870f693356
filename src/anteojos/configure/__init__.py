"""Configure the pipeline for images of your own: `anteojos init`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from anteojos.configure import inspection, proposal, summary
from anteojos.params import Params
from anteojos.runtime.checkout import PARAMS
from anteojos.runtime.errors import InputError
from anteojos.sources.http import is_url, shown_url
from anteojos.sources.layout import CHANGE_SOURCE


def init(source: str, classes: Sequence[str] = (), *, dry_run: bool = False) -> Iterator[str]:
    """Write the parameters for the images in `source` to params.yaml, and yield the lines to print.

    Raises InputError, and writes nothing, if `source` is not a usable dataset of two classes.
    """
    checkout = proposal.find_checkout(Path.cwd())
    dataset = Params.load(checkout / PARAMS).dataset
    try:
        proposal.stored_location(source, checkout)
        found = inspection.inspect(source, classes, max_bytes=dataset.max_bytes, bits=dataset.near_duplicate_bits)
    except InputError as error:
        raise InputError(error.headline, error.problems, _for_this_command(error.advice)) from error
    new = proposal.propose(found, source, checkout)
    shown = shown_url(source) if is_url(source) else source
    yield from summary.lines(found)
    yield ""
    if dry_run:
        yield "params.yaml would change:" if new.has_changes else "params.yaml would not change."
        yield from (line.replace(source, shown) for line in summary.difference(new))
        return
    if new.has_changes:
        new.write()
        yield "Changed params.yaml:"
        yield from (line.replace(source, shown) for line in summary.difference(new))
    else:
        yield "params.yaml is already like this."
    yield ""
    if shown != source:
        yield "warning: the URL has parts that may be secret, and params.yaml is committed to git: download the archive"
        yield "yourself, and run `anteojos init` with its path."
        yield ""
    yield "Next:"
    if not new.has_changes and found.sha256 is None:
        yield "  dvc repro --force fetch    # DVC does not see changes in this folder"
    yield "  make repro"


def _for_this_command(advice: str) -> str:
    """Adapt advice that was written for a stage."""
    advice = advice.replace(CHANGE_SOURCE, "Name another folder or archive.")
    return advice.replace("run `dvc repro` again", "run `anteojos init` again")
