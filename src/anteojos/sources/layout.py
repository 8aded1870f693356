"""Recognise splits and classes in the names of a dataset's files, and arrange the files as in data/raw.

Names are relative paths with `/`; those of folders end with `/`. The names of splits and class folders are compared
without regard to case and Unicode form.
"""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anteojos.runtime.errors import InputError, capped, printable
from anteojos.runtime.files import is_image
from anteojos.runtime.names import comparable, nfc
from anteojos.vocabulary import SPLITS, TEST_LABELS, UNSPLIT, SourceSplit, Split

# Names of the folders of splits.
SPLIT_OF: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validate", "validation", "valid", "val", "dev"), "validate"),
    **dict.fromkeys(("test", "testing"), "test"),
}
EXPECTED = (
    "expected a folder of images for each class, at any depth; or train/ with these folders, alone or next to "
    "validate/ and test/"
)
CHANGE_SOURCE = "Change `dataset.archive` in params.yaml, then run `dvc repro` again."

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is: split, class folder ("" if in none), and path below these."""

    split: SourceSplit
    folder: str
    path: str


@dataclass(frozen=True)
class Layout:
    """Where the images are: `root` is "" or ends with `/`; `splits` maps the folders below it to splits.

    Without `splits`, the class folders are in `root` itself.
    """

    root: str
    splits: Mapping[str, Split]

    def place(self, name: str) -> Place | None:
        """Return where a file is, or None if it is in none of the folders of the dataset."""
        if not name.startswith(self.root) or name.endswith("/"):
            return None
        split: SourceSplit = UNSPLIT
        parts = name.removeprefix(self.root).split("/")
        if self.splits:
            if len(parts) == 1 or parts[0] not in self.splits:
                return None
            split, parts = self.splits[parts[0]], parts[1:]
            # Without a validate/, `verify` divides the images of train/.
            if split == "train" and "validate" not in self.splits.values():
                split = UNSPLIT
        elif len(parts) == 1:
            return None
        return Place(split, parts[0] if len(parts) > 1 else "", "/".join(parts[1:]) or parts[0])


def find(where: str, names: Sequence[str], labels: Sequence[str] = ()) -> Layout:
    """Return the layout of the dataset `where` with the files and folders `names`.

    Of several datasets, one with the class folders `labels` is preferred, then the one with the shortest path. Raises
    InputError if there is none, or if two are equally good.
    """
    inside = _children(names)
    wanted = {comparable(label) for label in labels}
    with_train = {folder: found for folder in inside if "train" in (found := _splits(inside[folder])).values()}
    classes = {folder: _classes_in_train(inside, folder, splits) for folder, splits in with_train.items()}
    with_classes = [folder for folder, found in classes.items() if found]
    with_wanted = [folder for folder, found in classes.items() if found & wanted]
    with_both = [folder for folder in inside if wanted and wanted <= {comparable(name) for name in inside[folder]}]
    if with_both and not with_wanted:
        folder = _shallowest(where, with_both, " and ".join(f"{label}/" for label in labels))
    elif with_classes:
        best = with_wanted or with_classes
        full = [folder for folder in best if "validate" in with_train[folder].values()]
        folder = _shallowest(where, full or best, "train/")
    else:
        folder = _only_branch(inside)
        branches = [name for name, images in inside.get(folder, {}).items() if images]
        if len(branches) < 2 or "train" in _splits(branches).values():
            raise _no_dataset(where, names, inside)
    if folder in with_train:
        return Layout(folder, _one_each(where, folder, with_train[folder]))
    _reject_splits_in_classes(where, folder, inside)
    return Layout(folder, {})


def count(layout: Layout, names: Iterable[str]) -> dict[str, Counter[str]]:
    """Count the images of each class folder by split; folders that differ only in case are one."""
    found: dict[str, Counter[str]] = {}
    spelling: dict[str, str] = {}
    for name in names:
        place = layout.place(name)
        if place and place.folder and is_image(name):
            folder = spelling.setdefault(comparable(place.folder), nfc(place.folder))
            found.setdefault(folder, Counter())[place.split] += 1
    return found


def arrange(
    where: str, layout: Layout, names: Sequence[str], labels: Sequence[str], ignored: Sequence[str] = ()
) -> dict[str, str]:
    """Return the path below data/raw of each file to import: `train/<label>/…`, `unsplit/<label>/…`, `test/…`.

    The folders `ignored` are left out. Raises InputError if there are images of other classes than `labels`.
    """
    spelling = {comparable(label): label for label in labels}
    left_out = {comparable(folder) for folder in ignored}
    counts = {name: of_name for name, of_name in count(layout, names).items() if comparable(name) not in left_out}
    if any(comparable(name) not in spelling for name in counts):
        raise InputError(f"{where}: {classes_found(counts, labels)}", class_lines(counts), how_to_choose(counts, where))
    targets = {}
    for name in names:
        place = layout.place(name)
        if place and comparable(place.folder) not in left_out:
            folder = spelling.get(comparable(place.folder), place.folder)
            targets[name] = nfc("/".join(filter(None, (place.split, folder, place.path))))
        elif layout.splits and name == f"{layout.root}{TEST_LABELS}":
            targets[name] = TEST_LABELS
    return targets


def classes_found(counts: Counts, labels: Sequence[str] = ()) -> str:
    """Return a line that says how many classes were found and how many are possible."""
    found = f"images of {len(counts)} class{'' if len(counts) == 1 else 'es'}; exactly two are possible"
    return found + (f", and dataset.classes are {' and '.join(labels)}" if labels else "")


def class_lines(counts: Counts) -> list[str]:
    """Return a line with the number of images for each class, the largest first."""
    return [f"{printable(name)}: {_images(sum(counts[name].values()))}" for name in _by_size(counts)]


def how_to_choose(counts: Counts, source: str) -> str:
    """Return advice on how to use two of the classes in `source`."""
    advice = example(counts, source)
    if len(counts) > 1:
        advice += (
            "\nThis sets `dataset.classes`, and `dataset.ignored` to the other folders. Then run `dvc repro` again."
        )
    return advice


def example(counts: Counts, source: str) -> str:
    """Return an example of a command that chooses two of the classes in `source`."""
    if len(counts) < 2:
        return "Add a folder with the images of another class."
    chosen = " ".join(shlex.quote(name) for name in sorted(_by_size(counts)[:2], key=comparable))
    return f"To use two of them, for example: anteojos init {shlex.quote(source)} --classes {chosen}"


def _by_size(counts: Counts) -> list[str]:
    return sorted(counts, key=lambda name: (-sum(counts[name].values()), name))


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"


def _children(names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the folders inside each folder, with the number of images below them; "" is the top."""
    inside: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name in names:
        folder = ""
        for part in name.split("/")[:-1]:
            inside[folder][part] += is_image(name)
            folder += f"{part}/"
    return inside


def _splits(folders: Iterable[str]) -> dict[str, Split]:
    return {name: SPLIT_OF[comparable(name)] for name in folders if comparable(name) in SPLIT_OF}


def _classes_in_train(inside: Mapping[str, Mapping[str, int]], folder: str, splits: Mapping[str, Split]) -> set[str]:
    trains = [name for name, split in splits.items() if split == "train"]
    return {comparable(name) for train in trains for name in inside.get(f"{folder}{train}/", ())}


def _only_branch(inside: Mapping[str, Mapping[str, int]]) -> str:
    """Descend from the top as long as there is exactly one folder with images, and return the last of them."""
    folder = ""
    while len(branches := [name for name, images in inside.get(folder, {}).items() if images]) == 1:
        folder += f"{branches[0]}/"
    return folder


def _shallowest(where: str, folders: Sequence[str], content: str) -> str:
    depth = min(folder.count("/") for folder in folders)
    shallowest = sorted(folder for folder in folders if folder.count("/") == depth)
    if len(shallowest) > 1:
        raise InputError(
            f"{where}: more than one folder contains {printable(content)}",
            capped([f"found {printable(folder)}" for folder in shallowest]),
            "Keep one of them: extract the archive and set `dataset.archive` in params.yaml to that folder.",
        )
    return shallowest[0]


def _one_each(where: str, root: str, splits: Mapping[str, Split]) -> Mapping[str, Split]:
    """Return `splits` unchanged; raise InputError if two folders with different names are the same split."""
    for split in SPLITS:
        names = sorted(name for name, of_name in splits.items() if of_name == split)
        if len({comparable(name) for name in names}) > 1:
            raise InputError(
                f"{where}: more than one folder for the split {split}",
                [f"found {printable(f'{root}{name}/')}" for name in names],
                "Merge them, or remove or rename one.",
            )
    return splits


def _reject_splits_in_classes(where: str, root: str, inside: Mapping[str, Mapping[str, int]]) -> None:
    """Raise InputError for folders such as `cats/train/`, because their images would be split in another way."""
    for name in sorted(inside[root]):
        if "train" in _splits(inside.get(f"{root}{name}/", ())).values():
            raise InputError(
                f"{where}: class folders contain folders of splits",
                [f"found {printable(f'{root}{name}/')} with train/; expected train/{printable(name)}/"],
                "Move the images, so that each split contains the class folders.",
            )


def _no_dataset(where: str, names: Sequence[str], inside: Mapping[str, Mapping[str, int]]) -> InputError:
    alone = sum(is_image(name) for name in names if "/" not in name)
    found = sorted(
        f"{folder}{name}/ ({_images(images)})"
        for folder in inside
        if folder.count("/") <= 1
        for name, images in inside[folder].items()
    )
    return InputError(
        f"{where}: no folders with images of two classes",
        [EXPECTED, *capped([f"found {printable(line)}" for line in found] or [f"found no folder, {_images(alone)}"])],
        f"Put the images of each class into a folder of its own. {CHANGE_SOURCE}",
    )
