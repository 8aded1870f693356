"""params.yaml is read into dataclasses; errors name the key, the value and what is allowed."""

import unicodedata
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import yaml

from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import SPLITS
from tests.conftest import ROOT

COMMITTED = ROOT / "params.yaml"


def load(tmp_path: Path, **changed: Any) -> Params:
    """Load the committed params.yaml with some keys changed: `train__epochs=3` changes `train.epochs`."""
    values = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))
    for key, value in changed.items():
        *sections, name = key.split("__")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return Params.load(path)


# Lists of ten times the list before: (a0, a1), (a1, a2), …
BOMB = [(f"a{level}", f"a{level + 1}") for level in range(9)]


def problems_of(tmp_path: Path, **changed: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        load(tmp_path, **changed)
    return caught.value.problems


def refused(tmp_path: Path, content: str | bytes) -> InputError:
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        Params.load(path)
    return caught.value


def committed_with(old: str, new: str) -> str:
    text = COMMITTED.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_committed_params_load() -> None:
    params = Params.load(COMMITTED)

    assert params.dataset.source == "sample"
    assert params.dataset.kaggle == "ashfakyeafi/glasses-classification-dataset/versions/1"
    assert params.dataset.labels == ("glasses", "noglasses")
    assert params.dataset.names == ("con lentes", "sin lentes")
    assert params.dataset.name("noglasses") == "sin lentes"
    assert params.dataset.expected == {
        "train": {"glasses": 52, "noglasses": 52},
        "validate": {"glasses": 20, "noglasses": 20},
        "test": {"glasses": 10, "noglasses": 10},
    }
    assert (params.preprocess.size, params.preprocess.crop, params.preprocess.no_face) == (160, "face", "fail")
    assert (params.audit.border, params.audit.p_value, params.audit.accuracy) == (22, 0.01, 0.65)
    assert params.audit.on_leak == "warn"
    assert (params.train.network, params.train.epochs, params.train.augment) == ("edge", None, None)
    assert (params.evaluate.threshold, params.predict.threshold) == (0.5, 0.5)


TRAIN = {"glasses": 52, "noglasses": 52}


@pytest.mark.parametrize(
    ("source", "drawn", "train"),
    [
        ("sample", None, TRAIN),
        ("sample", 0, TRAIN),
        ("sample", 52, TRAIN),
        ("sample", 300, {"glasses": 300, "noglasses": 300}),
        ("kaggle", 300, TRAIN),
        ("archive", 300, TRAIN),
    ],
)
def test_drawn_images_are_counted_where_they_are_drawn(
    tmp_path: Path, source: str, drawn: int | None, train: dict[str, int]
) -> None:
    dataset = load(tmp_path, dataset__source=source, dataset__archive="a.zip", dataset__drawn=drawn).dataset
    assert dataset.counts == {**dataset.expected, "train": train}
    assert dataset.expected["train"] == TRAIN


def test_params_are_read_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, train__epochs=3)
    monkeypatch.chdir(tmp_path)
    assert Params.load().train.epochs == 3


def test_params_are_frozen() -> None:
    params = Params.load(COMMITTED)
    with pytest.raises(FrozenInstanceError):
        params.train.epochs = 3


def test_what_yaml_1_2_calls_a_number_is_one(tmp_path: Path) -> None:
    # DVC writes 0.00001 as 1e-05, which PyYAML alone reads as text.
    text = committed_with("learning_rate:  ", "learning_rate: 1e-05  ")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert Params.load(tmp_path / "params.yaml").train.learning_rate == 1e-05


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset__source", "kaggle"),
        ("dataset__sha256", "0123456789abcdefABCDEF" + 42 * "0"),
        ("dataset__max_bytes", 1),
        ("dataset__test_labels", "labels of mine.csv"),
        ("dataset__near_duplicate_bits", 0),
        ("dataset__near_duplicate_bits", 8),
        ("dataset__seed", 0),
        ("dataset__seed", 2**32 - 1),
        ("dataset__size", 32),
        ("dataset__size", 1024),
        ("preprocess__size", 32),
        ("preprocess__crop", "none"),
        ("preprocess__no_face", "whole"),
        ("dataset__drawn", None),
        ("dataset__drawn", 0),
        ("dataset__drawn", 100_000),
        ("audit__border", 4),
        ("audit__border", 72),
        ("audit__p_value", 0.001),
        ("audit__p_value", 0.5),
        ("audit__accuracy", 0.5),
        ("audit__accuracy", 1),
        ("audit__on_leak", "fail"),
        ("train__network", "dropout"),
        ("train__seed", 2**32 - 1),
        ("train__epochs", 10_000),
        ("train__batch_size", 4096),
        ("train__learning_rate", 1),
        ("train__network", "edge"),
        ("train__epochs", None),
        ("train__batch_size", None),
        ("train__learning_rate", None),
        ("train__rescale", True),
        ("train__rescale", None),
        ("train__augment", False),
        ("train__augment", None),
        ("evaluate__threshold", 0),
        ("evaluate__bins", 2),
        ("evaluate__bins", 100),
        ("predict__threshold", 1),
    ],
)
def test_the_ends_of_each_range_are_allowed(tmp_path: Path, key: str, value: Any) -> None:
    section, name = key.split("__")
    assert getattr(getattr(load(tmp_path, **{key: value}), section), name) == value


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("dataset__source", "google", "found 'google'; input should be 'sample', 'kaggle' or 'archive'"),
        ("dataset__kaggle", None, "found None; input should be a valid string"),
        ("dataset__archive", 5, "found 5; input should be a valid string"),
        ("dataset__sha256", "abc", "found 'abc'; string should match pattern '^[0-9a-fA-F]{64}$'"),
        ("dataset__max_bytes", 0, "found 0; input should be greater than or equal to 1"),
        ("dataset__test_labels", ["a.csv"], "found ['a.csv']; input should be a valid string"),
        ("dataset__near_duplicate_bits", -1, "found -1; input should be greater than or equal to 0"),
        ("dataset__near_duplicate_bits", 9, "found 9; input should be less than or equal to 8"),
        ("dataset__seed", -1, "found -1; input should be greater than or equal to 0"),
        ("dataset__seed", 2**32, "found 4294967296; input should be less than or equal to 4294967295"),
        ("dataset__size", 31, "found 31; input should be greater than or equal to 32"),
        ("dataset__size", 1025, "found 1025; input should be less than or equal to 1024"),
        ("preprocess__size", 31, "found 31; input should be greater than or equal to 32"),
        ("preprocess__size", "160", "found '160'; input should be a valid integer"),
        ("preprocess__crop", "panel", "found 'panel'; input should be 'face' or 'none'"),
        ("preprocess__crop", None, "found None; input should be 'face' or 'none'"),
        ("preprocess__no_face", "skip", "found 'skip'; input should be 'fail' or 'whole'"),
        ("dataset__drawn", -1, "found -1; input should be greater than or equal to 0"),
        ("dataset__drawn", 100_001, "found 100001; input should be less than or equal to 100000"),
        ("dataset__drawn", 10.5, "found 10.5; input should be a valid integer"),
        ("audit__border", 3, "found 3; input should be greater than or equal to 4"),
        ("audit__border", 73, "found 73; input should be less than or equal to 72"),
        ("audit__border", 22.5, "found 22.5; input should be a valid integer"),
        ("audit__p_value", 0.0009, "found 0.0009; input should be greater than or equal to 0.001"),
        ("audit__p_value", 0.51, "found 0.51; input should be less than or equal to 0.5"),
        ("audit__accuracy", 0.49, "found 0.49; input should be greater than or equal to 0.5"),
        ("audit__accuracy", 1.01, "found 1.01; input should be less than or equal to 1"),
        ("audit__on_leak", "stop", "found 'stop'; input should be 'warn' or 'fail'"),
        ("train__network", "vgg", "found 'vgg'; input should be 'baseline', 'sigmoid', 'deep', 'dropout' or 'edge'"),
        ("train__seed", 1.5, "found 1.5; input should be a valid integer"),
        ("train__epochs", 0, "found 0; input should be greater than or equal to 1"),
        ("train__epochs", 10_001, "found 10001; input should be less than or equal to 10000"),
        ("train__epochs", 10.0, "found 10.0; input should be a valid integer"),
        ("train__epochs", True, "found True; input should be a valid integer"),
        ("train__seed", None, "found None; input should be a valid integer"),
        ("train__batch_size", 0, "found 0; input should be greater than or equal to 1"),
        ("train__batch_size", 4097, "found 4097; input should be less than or equal to 4096"),
        ("train__learning_rate", 0, "found 0; input should be greater than 0"),
        ("train__learning_rate", 1.1, "found 1.1; input should be less than or equal to 1"),
        ("train__learning_rate", "fast", "found 'fast'; input should be a valid number"),
        ("train__learning_rate", float("nan"), "found nan; input should be a finite number"),
        ("train__learning_rate", float("inf"), "found inf; input should be a finite number"),
        ("train__rescale", "always", "found 'always'; input should be a valid boolean"),
        ("train__augment", 1, "found 1; input should be a valid boolean"),
        ("evaluate__threshold", -0.1, "found -0.1; input should be greater than or equal to 0"),
        ("evaluate__bins", 1, "found 1; input should be greater than or equal to 2"),
        ("evaluate__bins", 101, "found 101; input should be less than or equal to 100"),
        ("predict__threshold", 1.5, "found 1.5; input should be less than or equal to 1"),
        ("predict__threshold", [0.5], "found [0.5]; input should be a valid number"),
        ("predict__uncertain", [0.8, 0.2], "found 0.8, 0.2; expected the lower one first"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, key: str, value: Any, problem: str) -> None:
    assert problems_of(tmp_path, **{key: value}) == (f"{key.replace('__', '.')}: {problem}",)


@pytest.mark.parametrize(
    ("value", "place"), [([-0.1, 0.8], "0"), ([0.2, 1.1], "1"), (["low", 0.8], "0"), ([0.2], "1"), (0.2, "")]
)
def test_what_is_uncertain_are_two_probabilities(tmp_path: Path, value: Any, place: str) -> None:
    (problem,) = problems_of(tmp_path, predict__uncertain=value)
    assert problem.startswith(f"predict.uncertain.{place}".rstrip(".") + ": ")


@pytest.mark.parametrize("value", [(0, 1), (0.5, 0.5), (0, 0)])
def test_any_range_of_probabilities_may_be_uncertain(tmp_path: Path, value: tuple[float, float]) -> None:
    assert load(tmp_path, predict__uncertain=list(value)).predict.uncertain == value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b", "it contains a slash or a backslash"),
        ("/glasses", "it contains a slash or a backslash"),
        ("a\\b", "it contains a slash or a backslash"),
        ("..", "it begins with a dot or a dash"),
        (".hidden", "it begins with a dot or a dash"),
        ("-rf", "it begins with a dot or a dash"),
        ("", "it is empty"),
        (" \u3000", "it is empty"),
        (" glasses", "it begins or ends with a space"),
        ("a\nb", "it contains control or invisible characters"),
        ("a\x1b[2J", "it contains control or invisible characters"),
        ("a\u202eb", "it contains control or invisible characters"),
        ("a\ud800b", "it contains control or invisible characters"),
        (65 * "a", "it has more than 64 characters"),
        (64 * "👓", "it has more than 64 characters"),
        ("Train", "it is the name of a split"),
        ("VALIDATE", "it is the name of a split"),
        ("not known", "it stands for images without a label"),
    ],
)
def test_unusable_class_folder_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    classes = [{"folder": "glasses", "name": "con lentes"}, {"folder": name, "name": "sin lentes"}]
    problem, *_ = problems_of(tmp_path, dataset__classes=classes, dataset__expected=None)
    assert problem == f"dataset.classes.1.folder: found {name!r}; {reason}; expected the name of a folder"


@pytest.mark.parametrize(
    "name",
    ["Césped Verde", "草地", "с очками", "ñ", "می\u200cخواهم", "👓", "50 %", "a.b-c_d", 64 * "a"],  # noqa: RUF001
)
def test_class_folder_in_any_script_is_allowed(tmp_path: Path, name: str) -> None:
    classes = [{"folder": "glasses", "name": "con lentes"}, {"folder": name, "name": name}]
    expected = {split: {"glasses": 1, name: 2} for split in SPLITS}
    dataset = load(tmp_path, dataset__source="archive", dataset__archive="a", dataset__classes=classes,
                   dataset__expected=expected).dataset  # fmt: skip
    assert dataset.labels == ("glasses", name)
    assert dataset.counts == expected


def test_class_folders_are_compared_in_nfc(tmp_path: Path) -> None:
    composed, decomposed = "Ce\u0301sped", unicodedata.normalize("NFD", "Césped")
    classes = [{"folder": decomposed, "name": decomposed}, {"folder": "noglasses", "name": "b"}]
    expected = {split: {unicodedata.normalize("NFC", composed): 1, "noglasses": 2} for split in SPLITS}
    dataset = load(tmp_path, dataset__classes=classes, dataset__expected=expected).dataset
    assert dataset.labels == ("C\xe9sped", "noglasses")
    assert dataset.names == ("C\xe9sped", "b")
    same = [{"folder": decomposed, "name": "a"}, {"folder": "cÉsped", "name": "b"}]
    assert "two classes are named 'Césped'" in problems_of(tmp_path, dataset__classes=same)[0]


@pytest.mark.parametrize("name", [" ", "\t", "a\nb", "\u200b", "a\x1b[2J"])
def test_blank_display_name_is_refused(tmp_path: Path, name: str) -> None:
    classes = [{"folder": "glasses", "name": name}, {"folder": "noglasses", "name": "b"}]
    (problem,) = problems_of(tmp_path, dataset__classes=classes)
    assert problem == f"dataset.classes.0.name: found {name!r}; expected text that is not blank, on one line"


def test_expected_may_be_empty_except_for_sample(tmp_path: Path) -> None:
    dataset = load(tmp_path, dataset__source="archive", dataset__archive="a", dataset__expected=None).dataset
    assert dataset.expected is None
    assert dataset.counts is None
    assert problems_of(tmp_path, dataset__expected=None) == (
        "dataset.expected: is empty; dataset.source is sample, which draws this many images",
    )


def test_ignored_folders_are_other_folders(tmp_path: Path) -> None:
    assert load(tmp_path).dataset.ignored == ()
    assert load(tmp_path, dataset__ignored=["Sonnenbrillen", "草 地"]).dataset.ignored == ("Sonnenbrillen", "草 地")
    assert problems_of(tmp_path, dataset__ignored=["hats", "Glasses"]) == (
        "dataset.ignored: has Glasses; expected folders that are not in dataset.classes",
    )
    (problem,) = problems_of(tmp_path, dataset__ignored=["../x"])
    assert problem.startswith("dataset.ignored.0: found '../x'; it begins with a dot or a dash")


def test_split_has_shares_below_one_or_is_empty(tmp_path: Path) -> None:
    split = load(tmp_path).dataset.split
    assert split is not None
    assert (split.validate, split.test, split.seed) == (0.2, 0.1, 2024)
    assert load(tmp_path, dataset__split=None).dataset.split is None


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ({"validate": 0, "test": 0.1, "seed": 1}, "dataset.split.validate: found 0; input should be greater than 0"),
        ({"validate": 0.2, "test": 1, "seed": 1}, "dataset.split.test: found 1; input should be less than 1"),
        ({"validate": 0.2, "test": 0.1}, "dataset.split.seed: is missing"),
        (
            {"validate": 0.6, "test": 0.4, "seed": 1},
            "dataset.split: validate 0.6 and test 0.4; expected less than 1 together, because the rest is for training",
        ),
    ],
)
def test_wrong_split_is_refused(tmp_path: Path, split: dict[str, float], problem: str) -> None:
    assert problems_of(tmp_path, dataset__split=split) == (problem,)


@pytest.mark.parametrize("other", ["glasses", "Glasses"])
def test_two_classes_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    classes = [{"folder": "glasses", "name": "con lentes"}, {"folder": other, "name": "sin lentes"}]
    problems = problems_of(tmp_path, dataset__classes=classes)
    assert problems == ("dataset.classes: two classes are named 'glasses'; each needs its own folder",)


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ([{"folder": "glasses", "name": "con lentes"}], "dataset.classes.1: is missing"),
        (
            [{"folder": "glasses", "name": "con lentes"}, {"folder": "noglasses"}],
            "dataset.classes.1.name: is missing",
        ),
        (
            [{"folder": "glasses", "name": ""}, {"folder": "noglasses", "name": "sin lentes"}],
            "dataset.classes.0.name: found ''; string should have at least 1 character",
        ),
    ],
)
def test_classes_are_two_each_with_folder_and_name(tmp_path: Path, classes: list[dict[str, str]], problem: str) -> None:
    assert problems_of(tmp_path, dataset__classes=classes) == (problem,)


def test_a_third_class_is_refused(tmp_path: Path) -> None:
    classes = [{"folder": name, "name": name} for name in ("glasses", "noglasses", "sunglasses")]
    (problem,) = problems_of(tmp_path, dataset__classes=classes)
    assert problem.startswith("dataset.classes: found [{'folder': 'glasses'")
    assert problem.endswith("at most 2 items after validation, not 3")


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (
            {split: {"glasses": 1, "noglasses": 1} for split in ("train", "test")},
            "dataset.expected: has train, test; expected train, validate, test",
        ),
        ({}, "dataset.expected: has nothing; expected train, validate, test"),
        (
            {split: {"glasses": 1, "noglasses": 1} for split in (*SPLITS, "valid")},
            "dataset.expected.valid.[key]: found 'valid'; input should be 'train', 'validate' or 'test'",
        ),
        (
            {**{split: {"glasses": 1, "noglasses": 1} for split in SPLITS}, "test": {"glasses": 1, "hats": 1}},
            "dataset.expected.test: has glasses, hats; expected the folders of dataset.classes, glasses, noglasses",
        ),
        (
            {**{split: {"glasses": 1, "noglasses": 1} for split in SPLITS}, "validate": {"glasses": 1}},
            "dataset.expected.validate: has glasses; expected the folders of dataset.classes, glasses, noglasses",
        ),
        (
            {split: {"glasses": 1, "noglasses": -1} for split in ("train", "validate", "test")},
            "dataset.expected.train.noglasses: found -1; input should be greater than or equal to 0",
        ),
    ],
)
def test_expected_counts_name_each_split_and_class(
    tmp_path: Path, expected: dict[str, dict[str, int]], problem: str
) -> None:
    assert problems_of(tmp_path, dataset__expected=expected)[0] == problem


@pytest.mark.parametrize("archive", [None, ""])
def test_the_source_archive_needs_an_archive(tmp_path: Path, archive: str | None) -> None:
    problems = problems_of(tmp_path, dataset__source="archive", dataset__archive=archive)
    assert problems == ("dataset.archive: is empty; dataset.source is archive, which needs a path or a URL",)


def test_all_that_is_wrong_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, preprocess__crop="panel", train__epochs=0, predict__treshold=0.5, hats=1)
    path = tmp_path / "params.yaml"
    assert str(caught.value) == (
        f"{path} is wrong in 4 places\n"
        "  preprocess.crop: found 'panel'; input should be 'face' or 'none'\n"
        "  train.epochs: found 0; input should be greater than or equal to 1\n"
        "  predict.treshold: is no parameter; found 0.5; did you mean predict.threshold?\n"
        "  hats: is no parameter; found 1; remove it or correct its name\n"
        f"Correct {path} and run `dvc repro` again."
    )


@pytest.mark.parametrize(
    ("key", "value", "correction"),
    [
        ("train__epoch", 5, "did you mean train.epochs?"),
        ("dataset__class", 5, "did you mean dataset.classes?"),
        ("trian", {}, "did you mean train?"),
        ("train__colour", 5, "remove it or correct its name"),
        ("dataset__classes", [{"fodler": "a", "folder": "a", "name": "a"}, {"folder": "noglasses", "name": "b"}], None),
    ],
)
def test_unknown_parameter_suggests_similar_name(tmp_path: Path, key: str, value: Any, correction: str | None) -> None:
    (problem,) = problems_of(tmp_path, **{key: value})
    assert problem.endswith(f"; {correction or 'remove it or correct its name'}")


def test_one_problem_is_one_place(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, train__epochs=0)
    assert caught.value.headline == f"{tmp_path / 'params.yaml'} is wrong in 1 place"


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    before, _ = COMMITTED.read_text(encoding="utf-8").split("predict:")
    assert refused(tmp_path, before).problems == ("predict: is missing",)


def test_a_section_that_is_no_section_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, predict=5) == ("predict: found 5; expected keys and values",)


@pytest.mark.parametrize(("content", "found"), [("", None), ("# nothing\n", None), ("- 1\n", [1]), ("a b", "a b")])
def test_a_file_without_sections_is_refused(tmp_path: Path, content: str, found: object) -> None:
    assert refused(tmp_path, content).problems == (f"all of it: found {found!r}; expected keys and values",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"dataset: [", "expected the node content"),
        (b"a:\n\tb: 1\n", "found character '\\t' that cannot start any token"),
        (b"\xff\xfe\x00", "can't decode byte 0xff"),
        (b"a\0b", "special characters are not allowed"),
        (b"[" * 5000, "maximum recursion depth exceeded"),
        (b"train: 2024-13-45\n", "month must be in 1..12"),
        (b"train: !!bool maybe\n", "maybe"),
        (b"train: !!int ''\n", "index out of range"),
        (b"train: " + b"9" * 5000, "Exceeds the limit"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value.replace(" ", "_")[:24],
)
def test_what_is_not_yaml_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    error = refused(tmp_path, content)
    assert error.headline == f"{tmp_path / 'params.yaml'} is not YAML"
    (line,) = error.problems
    assert problem in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("train: &loop [*loop]", "train: found [["),
        ("2024-01-01: 1", "datetime.date(2024, 1, 1): found datetime.date(2024, 1, 1); keys should be strings"),
        # A billion items without aliases.
        (
            "\n".join(["a: &a0 [1]", *(f"{key}: &{key} [{', '.join([f'*{before}'] * 10)}]" for before, key in BOMB)]),
            "a: ",
        ),
    ],
    ids=["loop", "date", "aliases"],
)
def test_unusual_yaml_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    problems = refused(tmp_path, content).problems
    assert any(line.startswith(problem) for line in problems)
    assert max(map(len, problems)) < 2000


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir ['made']", "!!python/name:os.system ''", "!!python/tuple [1, 2]", "!mine 1"]
)
def test_yaml_makes_no_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path, COMMITTED.read_text(encoding="utf-8") + f"hats: {tag}\n")
    assert "could not determine a constructor for the tag" in error.problems[0]
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(InputError) as caught:
        Params.load(path)
    assert str(caught.value) == (
        f"{path}: No such file or directory\n"
        "Run it in the checkout of anteojos, the folder that holds dvc.yaml: `cd` there first."
    )


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(InputError, match=r"params\.yaml: Is a directory"):
        Params.load(tmp_path / "params.yaml")
