"""The command `anteojos`."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

# Each subcommand imports what it needs, so that --help does not wait for NumPy, Pillow and LiteRT.
from anteojos.runtime import checkout
from anteojos.runtime.errors import InputError, capped, message, printable
from anteojos.runtime.quiet import quiet_libraries

if TYPE_CHECKING:
    from anteojos.model.classifier import Classifier

UNREADABLE, FOUND, INTERRUPTED = 3, 4, 130
SHOWN = 40  # images of `show`
_EXISTING = click.Path(path_type=Path, allow_dash=False)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_PROBABILITY = click.FloatRange(0, 1)


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of this file, not alphabetically."""
        return list(self.commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `anteojos --help` lists the codes."""
    quiet_libraries()
    # https://no-color.org: any value except an empty one.
    color = False if os.environ.get("NO_COLOR") else None
    try:
        done = command.main(arguments, prog_name="anteojos", standalone_mode=False, color=color)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        _say("interrupted")
        return INTERRUPTED
    except (InputError, OSError) as error:
        text = message(error)
        if not text:
            raise
        _say(text)
        return 1
    return done if isinstance(done, int) else 0


def _say(text: str) -> None:
    click.echo(f"{click.style('anteojos:', fg='red', bold=True)} {text}", err=True, color=_colored(sys.stderr))


def _colored(stream: Any) -> bool:
    return bool(stream.isatty() and not os.environ.get("NO_COLOR"))


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="""\b
Examples:
  anteojos predict photo.jpg
  anteojos audit holidays/ --image leak.png
  anteojos report --against main

\b
Exit codes:
  0    success
  1    wrong input, such as a missing model
  2    wrong arguments
  3    an image could not be read
  4    with `--fail`: `audit` found a leak, or `drift` a difference
  130  interrupted""",
)
@click.version_option(package_name="anteojos", message="anteojos %(version)s")
def command() -> None:
    """Label the faces in images, with or without glasses, or the two classes of your own model."""


@command.command(
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


def _load(model: Path) -> "Classifier":
    """Load a model; warn on stderr if it is that of the checkout, and params.yaml has other classes by now."""
    from anteojos.model.classifier import Classifier

    classifier = Classifier.load(model)
    labels, configured = classifier.metadata.labels, checkout.classes_for(model)
    if configured and configured != labels:
        trained, now = (" and ".join(map(printable, names)) for names in (labels, configured))
        text = f"warning: {model} was trained for {trained}, but the classes in params.yaml are {now}: run `make repro`"
        click.echo(text, err=True)
    return classifier


def _of_checkout(path: str, *names: str, meaning: str) -> Callable[[_Function], _Function]:
    """Return an option for a file that by default is in the checkout, also if the command runs in a folder of it."""
    shown = f"{path} in the checkout"
    return click.option(*names, type=_EXISTING, default=lambda: checkout.place(path), show_default=shown, help=meaning)


_model = _of_checkout(checkout.MODEL, "--model", meaning="The trained model.")


@command.command(
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
@_model
@click.option("--whole", is_flag=True, help="Label each image as a whole, without detecting faces.")
@click.option(
    "--annotate", type=_EXISTING, metavar="DIR", help="Write copies there, with a box and a label for each face."
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
@click.option("-o", "--output", type=_EXISTING, help="Write to this file, completely or not at all.")
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

    classifier = _load(model)
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
            color=on_terminal and _colored(sys.stdout),
        )
    if on_terminal and not quiet:
        click.echo(totals.summary(by_face=not whole and classifier.metadata.crop == "face"), err=True)
    if images.skipped and not quiet:
        click.echo(f"Skipped {reading.counted(images.skipped, 'file')} of other formats.", err=True)
    return UNREADABLE if totals.unreadable else 0


@command.command(
    short_help="Check whether the label can be predicted without the face.",
    epilog="""\b
Examples:
  anteojos audit holidays/
  anteojos audit data/raw --crop face --image leak.png
  anteojos audit holidays.zip --format json
  anteojos audit holidays/ --fail && dvc repro""",
)
@click.argument("place", type=_EXISTING, metavar="FOLDER")
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
@click.option("--image", type=_EXISTING, metavar="PNG", help="Draw where the border differs between the classes.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="Format of the results.")
@click.option("--fail", is_flag=True, help="Exit with code 4 if the border leaks the label.")
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


@command.command(
    short_help="Compare images with the training images of a model.",
    epilog="""\b
Examples:
  anteojos drift holidays/
  anteojos drift inbox/ --fail && anteojos predict inbox/ --output labels.csv""",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path, allow_dash=True))
@_model
@click.option("--fail", is_flag=True, help="Exit with code 4 if the images differ.")
def drift(paths: tuple[Path, ...], model: Path, fail: bool) -> int:
    """Compare images, of which no label is known, with the training images of a model.

    PATH is as in `anteojos predict`. Each row compares one statistic: medians, distance and p-value of a test, and
    whether it differs. If images differ from the training images, the accuracy of the model on them is not known.
    """
    from anteojos.evaluation import drift as comparison
    from anteojos.labelling import reading

    classifier = _load(model)
    with reading.opened(paths) as images:
        measured, unreadable = comparison.measure(classifier, images.files)
    for line in capped([f"{images.shown(file)}: {reason}" for file, reason in unreadable]):
        _say(line)
    if not measured:
        return UNREADABLE
    found = comparison.compare(classifier.metadata.samples, measured, classifier.metadata.crop == "face")
    click.echo(comparison.as_table(found))
    if fail and any(row.verdict == "differs" for row in found.values()):
        return FOUND
    return UNREADABLE if unreadable else 0


def _number_and_place(_context: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> tuple[int, Path]:
    """Return the arguments of `show`; a folder that is named like a number needs a slash."""
    first, *rest = given or ("",)
    number, places = (int(first), rest) if first.isdecimal() else (SHOWN, list(given))
    if len(places) > 1:
        raise click.UsageError(f"found {' '.join(given)}; expected a number and one place, such as 20 holidays/")
    return click.IntRange(1, 1000).convert(number, _param, _context), Path(*places or ["train"])


@command.command(
    short_help="Write a contact sheet of some images.",
    epilog="""\b
Examples:
  anteojos show
  anteojos show holidays/
  anteojos show 12 validate --output validate.png""",
)
@click.argument("arguments", nargs=-1, metavar="[N] [PLACE]", callback=_number_and_place)
@_of_checkout("contact-sheet.png", "-o", "--output", meaning="File to write.")
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


@command.command(
    short_help="Write the results of the pipeline as one HTML page.",
    epilog="""\b
Examples:
  anteojos report
  anteojos report --against main --output review.html""",
)
@_of_checkout("report.html", "-o", "--output", meaning="File to write.")
@click.option("--against", metavar="REVISION", help="A branch, tag or commit to compare parameters and metrics with.")
def report(output: Path, against: str | None) -> None:
    """Write the results of the pipeline in this checkout as one HTML page that you can send to others."""
    # The only subcommand that needs a checkout, and so the only one that imports `team`.
    from anteojos.team import report as page

    target = output.absolute()
    with chdir(checkout.find(Path.cwd()) or Path()):
        page.write(target, against)
    click.echo(f"Wrote {output}.")


@command.command(
    short_help="Print the shell completion script.",
    epilog="""\b
Examples:
  eval "$(anteojos completion bash)"          # in ~/.bashrc
  eval "$(anteojos completion zsh)"           # in ~/.zshrc
  anteojos completion fish > ~/.config/fish/completions/anteojos.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes this command in a shell."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(completion_class(command, {}, "anteojos", "_ANTEOJOS_COMPLETE").source())
