"""params.yaml as frozen dataclasses; a wrong or unknown key is an error that names it."""

import difflib
import re
import reprlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from anteojos.runtime.errors import InputError
from anteojos.vocabulary import SPLITS, Crop, Network, Precision, Split

# Strict, so that "5" is no number and 1 is no bool.
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Seed = Annotated[Integer, Field(ge=0, le=2**32 - 1)]
Size = Annotated[Integer, Field(ge=32, le=1024)]
Probability = Annotated[Number, Field(ge=0, le=1)]
# Folder names become paths and column values: no separators, no hidden folders, no leading dash.
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)]

# Advice if there is no params.yaml.
ELSEWHERE = "Run it in the checkout of anteojos, the folder that holds dvc.yaml: `cd` there first."

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_CONFIG)
class ClassLabel:
    """A class: `folder` is its label in all files of the pipeline, `name` its display name."""

    folder: FolderName
    name: Annotated[str, Field(min_length=1, max_length=64)]


@dataclass(frozen=True, config=_CONFIG)
class Dataset:
    """Where the images come from, and what is expected of them."""

    source: Literal["sample", "kaggle", "archive"]
    kaggle: str
    archive: str | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None
    license: str | None
    max_bytes: Annotated[Integer, Field(ge=1)]
    test_labels: str | None
    classes: tuple[ClassLabel, ClassLabel]
    expected: dict[Split, dict[str, Annotated[Integer, Field(ge=0)]]]
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
    def counts(self) -> dict[Split, dict[str, int]]:
        """The number of images by split and class: `expected`, or for training `drawn` if the source draws more."""
        drawn = self.drawn or 0 if self.source == "sample" else 0
        return {**self.expected, "train": {label: max(n, drawn) for label, n in self.expected["train"].items()}}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        first, second = self.labels
        if first.casefold() == second.casefold():
            raise ValueError(f"dataset.classes: two classes are named {first!r}; each needs its own folder")
        if set(self.expected) != set(SPLITS):
            raise ValueError(f"dataset.expected: has {_listed(self.expected)}; expected {_listed(SPLITS)}")
        for split, counts in self.expected.items():
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
            values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506, a SafeLoader
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", advice=ELSEWHERE) from error
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
    """Return what to do about the unknown parameter at `place`: the most similar known name, if there is one."""
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
