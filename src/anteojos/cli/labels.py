"""The commands `predict` and `drift`, which use a trained model."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from anteojos.cli.options import EXISTING, FOUND, UNREADABLE, colored, load, model_option, needs, say
from anteojos.runtime.errors import capped, printable

_PROBABILITY = click.FloatRange(0, 1)


@click.command(
    epilog="""\b
Examples:
  anteojos predict photo.jpg
  anteojos predict holidays.zip --output labels.csv
  anteojos predict photo.jpg holidays/ --annotate labelled/
  find . -name '*.jpg' -print0 | anteojos predict - --format jsonl
  anteojos predict holidays/ --threshold 0.9 --uncertain 0.1 0.9

An image that cannot be read is a row with its error; the exit code is then 3.""",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="PATH...")
@model_option
@click.option("--whole", is_flag=True, help="Label each image as a whole, without detecting faces.")
@click.option(
    "--annotate", type=EXISTING, metavar="DIR", help="Write copies there, with a box and a label for each face."
)
@click.option(
    "--threshold",
    type=_PROBABILITY,
    show_default="the model's",
    help="Probability of the first class from which it is the label.",
)
@click.option(
    "--uncertain",
    type=_PROBABILITY,
    nargs=2,
    metavar="LOW HIGH",
    show_default="the model's",
    help="Warn of probabilities of the first class between these two.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    show_default="table on a terminal, else csv",
    help="Format of the labels.",
)
@click.option("-o", "--output", type=EXISTING, help="Write to this file, completely or not at all.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress bar and no summary.")
def predict(
    paths: tuple[Path, ...],
    model: Path,
    whole: bool,
    annotate: Path | None,
    threshold: float | None,
    uncertain: tuple[float, float] | None,
    form: Literal["table", "csv", "jsonl"] | None,
    output: Path | None,
    quiet: bool,
) -> int:
    """Label the faces in images.

    PATH is an image, a folder, zip or tar of images, or - for a list of images on standard input, one per line, or
    separated by NUL as `find -print0` writes it.

    Each face is a row: its file, its number in the image from left to right, its box, its label, the probability of
    that label, and a warning if you should not rely on the label. CSV and JSON lines also have the eyes and the
    probability of the first class, and name classes by their folder; a table has their display names. An image without
    a face is a row without a label. A model that was trained on whole images (preprocess.crop: none) labels whole
    images.
    """
    if uncertain and uncertain[0] > uncertain[1]:
        raise click.BadParameter(f"{uncertain[0]} is above {uncertain[1]}", param_hint="--uncertain")
    from anteojos.labelling import inference, reading, writing

    classifier = load(model)
    on_terminal = output is None and sys.stdout.isatty()
    # Annotated copies of an earlier run are not images to label.
    with reading.opened(paths, ignored=annotate) as images:
        shown = [images.shown(file) for file in images.files]
        copies = writing.annotated_paths(shown, annotate) if annotate else []
        options = inference.Options(threshold, uncertain, whole, annotate=bool(annotate))
        labelled = inference.label(images.files, classifier, options, progress=not quiet)
        labelled = (replace(each, file=file) for each, file in zip(labelled, shown, strict=True))
        totals = writing.write(
            writing.save_copies(labelled, copies) if annotate else labelled,
            form or ("table" if on_terminal else "csv"),
            output,
            width=max(len(printable(file)) for file in shown),
            color=on_terminal and colored(sys.stdout),
        )
    if on_terminal and not quiet:
        click.echo(totals.summary(by_face=not whole and classifier.metadata.crop == "face"), err=True)
    if images.skipped and not quiet:
        click.echo(f"Skipped {reading.counted(images.skipped, 'file')} of other formats.", err=True)
    return UNREADABLE if totals.unreadable else 0


@click.command(
    short_help="Compare images with the training images of a model.",
    epilog="""\b
Examples:
  anteojos drift holidays/
  anteojos drift inbox/ --fail && anteojos predict inbox/ --output labels.csv""",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path, allow_dash=True))
@model_option
@click.option("--fail", is_flag=True, help="Exit with code 4 if the images differ.")
@needs("pipeline")
def drift(paths: tuple[Path, ...], model: Path, fail: bool) -> int:
    """Compare images, of which no label is known, with the training images of a model.

    PATH is as in `anteojos predict`. Each row compares one statistic: medians, distance and p-value of a test, and
    whether it differs. If images differ from the training images, the accuracy of the model on them is not known.
    """
    from anteojos.evaluation import drift as comparison
    from anteojos.labelling import reading

    classifier = load(model)
    with reading.opened(paths) as images:
        measured, unreadable = comparison.measure(classifier, images.files)
    for line in capped([f"{images.shown(file)}: {reason}" for file, reason in unreadable]):
        say(line)
    if not measured:
        return UNREADABLE
    found = comparison.compare(classifier.metadata.samples, measured, classifier.metadata.crop == "face")
    click.echo(comparison.as_table(found))
    if fail and any(row.verdict == "differs" for row in found.values()):
        return FOUND
    return UNREADABLE if unreadable else 0
