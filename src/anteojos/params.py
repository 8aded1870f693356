"""params.yaml as frozen dataclasses; a wrong or unknown key is an error that names it."""

import difflib
import re
import reprlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from anteojos.runtime.errors import InputError
from anteojos.runtime.names import comparable, nfc
from anteojos.vocabulary import NOT_KNOWN, SPLITS, UNSPLIT, Crop, Network, Precision, Split

# Strict, so that "5" is not a number and 1 is not a bool.
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Seed = Annotated[Integer, Field(ge=0, le=2**32 - 1)]
Size = Annotated[Integer, Field(ge=32, le=1024)]
Probability = Annotated[Number, Field(ge=0, le=1)]
MAX_NAME = 64  # characters of a class folder or a display name
_JOINERS = "\u200c\u200d"  # invisible, but part of the spelling of Persian and Indian words

# Advice if there is no params.yaml.
ELSEWHERE = "Run it in the checkout of anteojos, the folder that holds dvc.yaml: `cd` there first."

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def _folder_name(name: str) -> str:
    """Return the name of a class folder in NFC, or raise an error with the reason why it cannot be one.

    Class folders become paths, table cells and keys of metrics.
    """
    name = nfc(name)
    faults = {
        "it is empty": not name.strip(),
        "it begins or ends with a space": name != name.strip(),
        "it begins with a dot or a dash": name.startswith((".", "-")),
        "it contains a slash or a backslash": "/" in name or "\\" in name,
        "it contains control or invisible characters": not _is_visible(name),
        f"it has more than {MAX_NAME} characters": len(name) > MAX_NAME or len(name.encode(errors="replace")) > 255,
        "it is the name of a split": name.casefold() in (*SPLITS, UNSPLIT),
        "it stands for images without a label": name.casefold() == NOT_KNOWN,
    }
    if fault := next((fault for fault, found in faults.items() if found), ""):
        raise PydanticCustomError("folder_name", "{fault}; expected the name of a folder", {"fault": fault})
    return name


def _display_name(name: str) -> str:
    """Return a display name in NFC, or raise an error if it is not visible text on one line."""
    if not name.strip() or not _is_visible(name):
        raise PydanticCustomError("display_name", "expected text that is not blank, on one line")
    return nfc(name)


def _is_visible(name: str) -> bool:
    return all(character.isprintable() or character in _JOINERS for character in name)


FolderName = Annotated[str, AfterValidator(_folder_name)]
DisplayName = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_display_name)]


@dataclass(frozen=True, config=_CONFIG)
class ClassLabel:
    """A class: `folder` is its label in all files of the pipeline, `name` its display name."""

    folder: FolderName
    name: DisplayName


@dataclass(frozen=True, config=_CONFIG)
class Shares:
    """How `verify` divides images without a split: shares from 0 to 1; the rest is for training."""

    validate: Annotated[Number, Field(gt=0, lt=1)]
    test: Annotated[Number, Field(ge=0, lt=1)]
    seed: Seed

    @model_validator(mode="after")
    def _leaves_some_for_training(self) -> Self:
        if self.validate + self.test >= 1:
            raise ValueError(
                f"dataset.split: validate {self.validate} and test {self.test}; expected less than 1 together, because "
                "the rest is for training"
            )
        return self


@dataclass(frozen=True, config=_CONFIG)
class Dataset:
    """The source of the images, and what is expected of them."""

    source: Literal["sample", "kaggle", "archive"]
    kaggle: str
    archive: str | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None
    license: str | None
    max_bytes: Annotated[Integer, Field(ge=1)]
    test_labels: str | None
    classes: tuple[ClassLabel, ClassLabel]
    ignored: tuple[FolderName, ...]
    split: Shares | None
    expected: dict[Split, dict[FolderName, Annotated[Integer, Field(ge=0)]]] | None
    drawn: Annotated[Integer, Field(ge=0, le=100_000)] | None
    near_duplicate_bits: Annotated[Integer, Field(ge=0, le=8)]
    seed: Seed
    size: Size

    @property
    def labels(self) -> tuple[str, str]:
        """The two class folders. Probabilities are those of the first."""
        first, second = self.classes
        return first.folder, second.folder

    @property
    def names(self) -> tuple[str, str]:
        """The display names, in the order of `labels`."""
        first, second = self.classes
        return first.name, second.name

    def name(self, label: str) -> str:
        """The display name of a class folder."""
        return self.names[self.labels.index(label)]

    @property
    def counts(self) -> dict[Split, dict[str, int]] | None:
        """The expected number of images by split and class; None if `expected` is empty.

        If the source is `sample`, it is at least `drawn` for training.
        """
        if self.expected is None:
            return None
        drawn = self.drawn or 0 if self.source == "sample" else 0
        return {**self.expected, "train": {label: max(n, drawn) for label, n in self.expected["train"].items()}}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        first, second = self.labels
        if comparable(first) == comparable(second):
            raise ValueError(f"dataset.classes: two classes are named {first!r}; each needs its own folder")
        used = {comparable(label) for label in self.labels}
        if both := [folder for folder in self.ignored if comparable(folder) in used]:
            raise ValueError(f"dataset.ignored: has {_listed(both)}; expected folders that are not in dataset.classes")
        if self.expected is None and self.source == "sample":
            raise ValueError("dataset.expected: is empty; dataset.source is sample, which draws this many images")
        if self.expected is not None and set(self.expected) != set(SPLITS):
            raise ValueError(f"dataset.expected: has {_listed(self.expected)}; expected {_listed(SPLITS)}")
        for split, counts in (self.expected or {}).items():
            if set(counts) != set(self.labels):
                raise ValueError(
                    f"dataset.expected.{split}: has {_listed(counts)}; expected the folders of dataset.classes, "
                    f"{_listed(self.labels)}"
                )
        if self.source == "archive" and not self.archive:
            raise ValueError("dataset.archive: is empty; dataset.source is archive, which needs a path or a URL")
        return self


@dataclass(frozen=True, config=_CONFIG)
class Preprocess:
    """How an image becomes the input of the network."""

    size: Size
    crop: Crop
    no_face: Literal["fail", "whole"]


@dataclass(frozen=True, config=_CONFIG)
class Audit:
    """When the audit reports that the label can be predicted without the face."""

    border: Annotated[Integer, Field(ge=4, le=72)]
    p_value: Annotated[Number, Field(ge=0.001, le=0.5)]
    accuracy: Annotated[Number, Field(ge=0.5, le=1)]
    on_leak: Literal["warn", "fail"]


@dataclass(frozen=True, config=_CONFIG)
class Train:
    """The network and how it is trained. None: the value in the network's recipe."""

    network: Network
    seed: Seed
    epochs: Annotated[Integer, Field(ge=1, le=10_000)] | None
    batch_size: Annotated[Integer, Field(ge=1, le=4096)] | None
    learning_rate: Annotated[Number, Field(gt=0, le=1)] | None
    rescale: Annotated[bool, Field(strict=True)] | None
    augment: Annotated[bool, Field(strict=True)] | None
    class_weights: Annotated[bool, Field(strict=True)] | None
    precision: Precision | None
    timeout: Annotated[Integer, Field(ge=10, le=86_400)]


@dataclass(frozen=True, config=_CONFIG)
class Evaluate:
    """How the trained model is evaluated."""

    threshold: Probability
    bins: Annotated[Integer, Field(ge=2, le=100)]
    folds: Annotated[Integer, Field(ge=0, le=10)]

    @model_validator(mode="after")
    def _has_two_folds(self) -> Self:
        if self.folds == 1:
            raise ValueError("evaluate.folds: found 1; expected 0 for no cross-validation, or 2 to 10")
        return self


@dataclass(frozen=True, config=_CONFIG)
class Predict:
    """How images are labelled. A probability between the two of `uncertain` gets the warning `uncertain`."""

    threshold: Probability
    uncertain: tuple[Probability, Probability]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = self.uncertain
        if low > high:
            raise ValueError(f"predict.uncertain: found {low}, {high}; expected the lower one first")
        return self


@dataclass(frozen=True, config=_CONFIG)
class Params:
    """All of params.yaml."""

    dataset: Dataset
    preprocess: Preprocess
    audit: Audit
    train: Train
    evaluate: Evaluate
    predict: Predict

    @classmethod
    def load(cls, path: Path = Path("params.yaml")) -> Self:
        """Read and check `path`. Raises InputError with each wrong key, what was found and what is allowed."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", advice=ELSEWHERE) from error
        except ValueError as error:
            raise InputError(f"{path} is not YAML", [" ".join(str(error).split())]) from error
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: Path = Path("params.yaml")) -> Self:
        """Check the text of a params.yaml; `path` is its name in messages."""
        try:
            values = yaml.load(text, Loader=_Loader)  # noqa: S506, a SafeLoader
        except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError) as error:
            # PyYAML raises errors of Python too: ValueError for the date 2024-13-45, KeyError for `!!bool maybe`.
            raise InputError(f"{path} is not YAML", [" ".join(str(error).split())]) from error
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise InputError(
                f"{path} is wrong in {error.error_count()} place{'s' if error.error_count() > 1 else ''}",
                [_problem(detail) for detail in error.errors(include_url=False)],
                f"Correct {path} and run `dvc repro` again.",
            ) from None


class _Loader(yaml.SafeLoader):
    """Reads 1e-05 as a number, as in YAML 1.2 and as DVC writes it. PyYAML implements YAML 1.1, where it is text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


# A value that is short in the file may have a very long `repr`, because YAML can repeat parts by aliases.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_REPR.maxlevel = 3


def _problem(detail: Any) -> str:
    """Return one line about a problem that pydantic found."""
    key = ".".join(str(part) for part in detail["loc"]) or "all of it"
    message = detail["msg"].removeprefix("Value error, ")
    found = _REPR.repr(detail["input"])
    match detail["type"]:
        case "value_error":
            return str(message)
        case "unexpected_keyword_argument":
            return f"{key}: is no parameter; found {found}; {_correction(detail['loc'])}"
        case "missing":
            return f"{key}: is missing"
        case "dataclass_type":
            return f"{key}: found {found}; expected keys and values"
        case _:
            return f"{key}: found {found}; {message[0].lower()}{message[1:]}"


def _correction(place: tuple[str | int, ...]) -> str:
    """Return advice for the unknown parameter at `place`; it names the most similar parameter, if there is one."""
    *sections, name = place
    kind: Any = Params
    for section in sections:
        kind = next((field.type for field in fields(kind) if field.name == section), None) if _has_keys(kind) else None
    known = [field.name for field in fields(kind)] if _has_keys(kind) else []
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {'.'.join(map(str, (*sections, *close)))}?" if close else "remove it or correct its name"


def _has_keys(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "nothing"
