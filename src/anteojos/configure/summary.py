"""Describe a dataset and the parameters for it as text for a terminal."""

import difflib
from collections.abc import Iterator

from anteojos.configure.inspection import Inspection
from anteojos.configure.proposal import Proposal
from anteojos.runtime.errors import capped, printable
from anteojos.sources.layout import class_lines
from anteojos.vocabulary import SPLITS, UNSPLIT


def lines(inspection: Inspection) -> Iterator[str]:
    """Yield lines about the images: counts, sizes, faces, and what is wrong with some of them."""
    columns = [split for split in (*SPLITS, UNSPLIT) if any(of.get(split) for of in inspection.counts.values())]
    width = max(len("class"), *(len(printable(label)) for label in inspection.labels))
    yield "  ".join([f"{'class':{width}}", *(f"{split:>9}" for split in columns)])
    for label in inspection.labels:
        counts = (f"{inspection.counts[label].get(split, 0):9,}" for split in columns)
        yield "  ".join([f"{printable(label):{width}}", *counts])
    if inspection.unlabelled:
        yield f"{inspection.unlabelled:,} test images in no class folder; test_labels.csv may have their labels."
    if inspection.ignored:
        yield "Ignored class folders:"
        ignored = {name: inspection.counts[name] for name in inspection.ignored}
        yield from (f"  {line}" for line in capped(class_lines(ignored)))
    if inspection.outside:
        yield f"{inspection.outside:,} images in no class folder, which are not used."
    yield from _sample(inspection)


def _sample(inspection: Inspection) -> Iterator[str]:
    table = inspection.table
    yield f"Of these, {len(table) + len(inspection.unreadable):,} images were examined:"
    sizes = table[["width", "height"]].assign(area=table["width"] * table["height"]).sort_values("area")
    smallest, median, largest = (sizes.iloc[row] for row in (0, len(sizes) // 2, -1))
    shown = (f"{size.width} × {size.height}" for size in (smallest, median, largest))
    yield "  sizes: {} (smallest), {} (median), {} px (largest)".format(*shown)
    shares = ", ".join(f"{share:.0%} of {printable(label)}" for label, share in inspection.face_shares.items())
    yield f"  a face is found in {shares}"
    for title, found in (
        ("unreadable images, at which `verify` stops: remove or replace them", inspection.unreadable),
        ("duplicates; `verify` stops if they are in two splits of the source", inspection.duplicates),
    ):
        if found:
            yield f"  {len(found):,} {title}"
            yield from (f"    {line}" for line in capped(found))


def difference(proposal: Proposal) -> Iterator[str]:
    """Yield the changed lines of params.yaml, as in a diff."""
    before, after = proposal.before.splitlines(), proposal.text.splitlines()
    for line in difflib.unified_diff(before, after, n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line
