"""The commands `init`, `audit` and `show`, which look at images to train with."""

from pathlib import Path
from typing import Literal

import click

from anteojos.cli.options import EXISTING, FOUND, UNREADABLE, needs, of_checkout
from anteojos.runtime import checkout

SHOWN = 40  # images of `show`


@click.command(
    short_help="Configure the pipeline for your own images.",
    epilog="""\b
Examples:
  anteojos init ../photos
  anteojos init pets.tar.gz --classes cats dogs
  anteojos init https://example.org/pets.zip --dry-run""",
)
@click.argument("source", metavar="SOURCE")
@click.option(
    "--classes",
    nargs=2,
    metavar="FIRST SECOND",
    show_default="the only two, alphabetically",
    help="The two class folders. Probabilities are those of the first.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@needs("pipeline")
def init(source: str, classes: tuple[str, str] | None, dry_run: bool) -> None:
    """Configure the pipeline for your own images: look at them, and write params.yaml.

    SOURCE is a folder, a zip or a tar (also .gz, .bz2 or .xz), or the URL of an archive. It contains a folder of images
    for each of two classes, or train/, validate/ and test/ with these, at any depth. Other class folders are ignored
    if you choose two with --classes.

    It sets the source, the classes, and whether faces are detected. Comments and all other parameters stay as they are.
    """
    from anteojos import configure

    for line in configure.init(source, classes or (), dry_run=dry_run):
        click.echo(line)


@click.command(
    short_help="Check whether the label can be predicted without the face.",
    epilog="""\b
Examples:
  anteojos audit holidays/
  anteojos audit data/raw --crop face --image leak.png
  anteojos audit holidays.zip --format json
  anteojos audit holidays/ --fail && dvc repro""",
)
@click.argument("place", type=EXISTING, metavar="FOLDER")
@click.option(
    "--crop",
    type=click.Choice(["face", "none"]),
    default="none",
    help="face: audit the aligned face; none: the whole image.",
)
@click.option(
    "--border", type=click.IntRange(4, 72), default=22, help="Width of the border, in 160ths of the width of an image."
)
@click.option(
    "--size",
    type=click.IntRange(32, 1024),
    default=160,
    help="Width and height, in px, to which images are resized first.",
)
@click.option("--image", type=EXISTING, metavar="PNG", help="Draw where the border differs between the classes.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="Format of the results.")
@click.option("--fail", is_flag=True, help="Exit with code 4 if the border leaks the label.")
@needs("pipeline")
def audit(
    place: Path,
    crop: Literal["face", "none"],
    border: int,
    size: int,
    image: Path | None,
    form: Literal["table", "json"],
    fail: bool,
) -> int:
    """Check whether the label of images can be predicted from their border, or from properties of the files.

    FOLDER, or a zip or tar, contains a folder of images for each of two classes, or train/, validate/ or unsplit/ with
    such folders.
    """
    from anteojos.evaluation import leak, leak_sheet
    from anteojos.images import class_folders, detector
    from anteojos.runtime.outputs import replacing

    with class_folders.opened(place) as (files, labels, shown):
        first, names = leak.two_classes(labels)
        chosen = leak.sample(len(files))
        images, facts = class_folders.read([files[row] for row in chosen], size, crop, shown)
    found = leak.probes(images, first[chosen], facts, border=border)
    shows_faces = found["border"].verdict == "leak" and crop == "none" and detector.show_faces(images)
    paragraphs = leak.explain(found, names, border, crop, shows_faces, str(image or ""))
    click.echo(leak.as_json(found, names, paragraphs) if form == "json" else leak.as_table(found, paragraphs))
    if image:
        with replacing(image) as path:
            leak_sheet.draw(images, first[chosen], names, found["border"], border).save(path, "PNG")
    return FOUND if fail and found["border"].verdict == "leak" else 0


def _number_and_place(_context: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> tuple[int, Path]:
    """Return the arguments of `show`; a folder that is named like a number needs a slash."""
    first, *rest = given or ("",)
    number, places = (int(first), rest) if first.isdecimal() else (SHOWN, list(given))
    if len(places) > 1:
        raise click.UsageError(f"found {' '.join(given)}; expected a number and one place, such as 20 holidays/")
    return click.IntRange(1, 1000).convert(number, _param, _context), Path(*places or ["train"])


@click.command(
    short_help="Write a contact sheet of some images.",
    epilog="""\b
Examples:
  anteojos show
  anteojos show holidays/
  anteojos show 12 validate --output validate.png""",
)
@click.argument("arguments", nargs=-1, metavar="[N] [PLACE]", callback=_number_and_place)
@of_checkout("contact-sheet.png", "-o", "--output", meaning="File to write.")
@needs("pipeline")
def show(arguments: tuple[int, Path], output: Path) -> int:
    """Write a contact sheet with N images (40) of a split or folder, to look at the data before training.

    PLACE is a split of data/raw, train (the default), validate or test, or any folder. It takes the same number of
    images from each folder in it, evenly spread.
    """
    from anteojos.evaluation import contact_sheet
    from anteojos.runtime.outputs import replacing
    from anteojos.vocabulary import SPLITS, UNSPLIT

    n, place = arguments  # `train` is the split, ./train is a folder
    raw = checkout.place("data/raw")
    is_split = str(place) in SPLITS
    if is_split and (raw / UNSPLIT).is_dir():
        sheet, unreadable = contact_sheet.of_split(raw, raw.parent / "manifest.csv", str(place), n)
    else:
        sheet, unreadable = contact_sheet.of_folder(raw / place if is_split and (raw / place).is_dir() else place, n)
    with replacing(output) as path:
        sheet.save(path, "PNG")
    click.echo(f"Wrote {output}.")
    return UNREADABLE if unreadable else 0
