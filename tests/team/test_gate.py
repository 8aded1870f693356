"""The quality gate, with small metrics files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anteojos.evaluation.scores import wilson_interval
from anteojos.runtime.errors import InputError
from anteojos.team import check_committed, compare, gate
from anteojos.team.gate import Accuracy

NONE = {"accuracy": 0.5, "chance": 0.5, "p_value": 1.0, "n": 144, "verdict": "none"}
LEAK = {"accuracy": 0.993, "chance": 0.5, "p_value": 0.001, "n": 144, "verdict": "leak"}


def accuracy(right: int, n: int) -> Accuracy:
    return Accuracy(n, right / n, wilson_interval(right, n)[0])


@pytest.mark.parametrize(
    ("right", "before", "fell"),
    [
        pytest.param(24, 24, False, id="same"),
        pytest.param(30, 24, False, id="better"),
        pytest.param(18, 24, False, id="0.450, within the interval from 0.446"),
        pytest.param(17, 24, True, id="0.425, below it"),
        pytest.param(24, 34, True, id="0.600 after 0.850, though the two intervals overlap"),
        pytest.param(36, 40, True, id="0.900 after 1, whose interval begins at 0.912"),
        pytest.param(37, 40, False, id="0.925, within it"),
    ],
)
def test_accuracy_below_the_interval_fell(right: int, before: int, fell: bool) -> None:
    assert gate.fell(accuracy(right, 40), accuracy(before, 40)) is fell


def test_accuracy_at_the_end_of_the_interval_did_not_fall() -> None:
    assert not gate.fell(Accuracy(40, 0.446, 0.3), Accuracy(40, 0.6, 0.446))
    assert gate.fell(Accuracy(40, 0.445999, 0.3), Accuracy(40, 0.6, 0.446))


def test_leak_of_the_border_is_separate_from_other_leaks() -> None:
    assert gate.leaks({"border": NONE, "other_leaks": "none"}) == ("", "")
    assert gate.leaks({"border": LEAK, "other_leaks": "none"}) == ("accuracy 0.993 (p = 0.001)", "")
    assert gate.leaks({"border": NONE, "other_leaks": "width, bytes"}) == ("", "width, bytes")


@pytest.mark.parametrize(
    "audit",
    [
        *({}, {"border": NONE}, {"border": {}, "other_leaks": "none"}, {"border": None}, {"other_leaks": "none"}),
        *(
            {"border": NONE | {key: value}, "other_leaks": "none"}
            for key, value in (("verdict", "?"), ("p_value", "0.5"), ("accuracy", None))
        ),
    ],
)
def test_audit_without_verdict_on_the_border_raises(audit: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"metrics/audit.json: no verdict"):
        gate.leaks(audit)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the project in a subfolder."""
    for command in ("init --quiet", "config user.name Someone", "config user.email someone@example.invalid"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    (tmp_path / "project/metrics").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    write("audit", {"border": NONE, "other_leaks": "none"})
    return tmp_path / "project"


def write(name: str, metrics: object) -> None:
    Path(f"metrics/{name}.json").write_text(metrics if isinstance(metrics, str) else json.dumps(metrics))


def validate(right: int, n: int) -> dict[str, Any]:
    low, high = wilson_interval(right, n)
    return {"validate": {"n": n, "accuracy": right / n, "accuracy_low": low, "accuracy_high": high}}


def commit(metrics: object) -> None:
    if metrics is None:
        Path("metrics/evaluate.json").unlink(missing_ok=True)
    else:
        write("evaluate", metrics)
    subprocess.run(["git", "add", "--all"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "Before"], check=True)
    subprocess.run(["git", "tag", "before"], check=True)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        pytest.param(None, "in before: none yet", id="no file"),
        pytest.param({"test": {"n": 20}}, "in before: none yet", id="another split"),
        pytest.param(validate(24, 40), "in before: 0.600 of 40 images", id="as good"),
        pytest.param(validate(50, 80), "The numbers of images differ", id="other images"),
    ],
)
def test_passing_gate_prints_both_accuracies(
    checkout: Path, capsys: pytest.CaptureFixture[str], before: object, message: str
) -> None:
    commit(before)
    write("evaluate", validate(24, 40))
    gate.check("before")
    output = capsys.readouterr().out
    assert message in output
    assert "validate: accuracy 0.600 of 40 images, its 95 % interval from 0.446" in output
    assert "The model passes." in output


def test_gate_compares_with_the_larger_class(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(validate(24, 40))
    metrics = validate(24, 40)
    metrics["validate"] |= {"accuracy_high": 0.737, "majority_accuracy": 0.7}
    write("evaluate", metrics)
    gate.check("before")
    assert (
        "The model is not shown to be better than always predicting the larger class (0.700)" in capsys.readouterr().out
    )
    (line,) = compare.accuracies()
    assert line.startswith("- validate: accuracy 0.600 of 40 images; not shown to be better than always predicting")
    # Metrics of an older commit.
    write("evaluate", validate(24, 40))
    assert compare.accuracies() == []


def test_all_problems_are_named_at_once(checkout: Path) -> None:
    commit(validate(40, 40))
    write("evaluate", validate(24, 40))
    write("audit", {"border": LEAK, "other_leaks": "none"})
    with pytest.raises(InputError) as refused:
        gate.check("before")
    assert refused.value.problems == (
        "validate: accuracy 0.600 is below the interval of before, 0.912 and up",
        "metrics/audit.json: the border predicts the label: accuracy 0.993 (p = 0.001); expected no leak",
    )


@pytest.mark.parametrize(
    ("before", "here", "named"),
    [
        ("no JSON", validate(24, 40), r"metrics/evaluate\.json in before: not a JSON object"),
        ("[]", validate(24, 40), r"metrics/evaluate\.json in before: not a JSON object"),
        (
            {"validate": {"n": 40}},
            validate(24, 40),
            r"evaluate\.json in before: no accuracy of validate with its interval",
        ),
        (validate(24, 40), {"validate": {"n": 40}}, r"^metrics/evaluate\.json: no accuracy of validate"),
        (validate(24, 40), {"test": {}}, r"^metrics/evaluate\.json: no accuracy of validate"),
        (validate(24, 40), "{", r"^metrics/evaluate\.json: not a JSON object"),
    ],
)
def test_invalid_metrics_are_named(checkout: Path, before: object, here: object, named: str) -> None:
    commit(before)
    write("evaluate", here)
    with pytest.raises(InputError, match=named):
        gate.check("before")


WRONG = {
    "NaN": ("NaN", "found nan, expected a number from 0 to 1"),
    "infinity": ("-Infinity", "found -inf, expected a number from 0 to 1"),
    "too large": ("1e999", "found inf, expected a number from 0 to 1"),
    "percent": ("97.5", "found 97.5, expected a number from 0 to 1"),
    "text": ('"0.9"', "found '0.9', expected a number from 0 to 1"),
    "null": ("null", "found None, expected a number from 0 to 1"),
    "true": ("true", "found True, expected a number from 0 to 1"),
}


@pytest.mark.parametrize("where", ["here", "in before"])
@pytest.mark.parametrize("key", ["accuracy", "accuracy_low"])
@pytest.mark.parametrize(("value", "found"), WRONG.values(), ids=WRONG.keys())
def test_metric_that_cannot_be_compared_does_not_pass(
    checkout: Path, where: str, key: str, value: str, found: str
) -> None:
    good = validate(24, 40)
    wrong = json.dumps(good | {"validate": good["validate"] | {key: "VALUE"}}).replace('"VALUE"', value)
    commit(wrong if where == "in before" else good)
    write("evaluate", good if where == "in before" else wrong)
    name = "metrics/evaluate.json" + " in before" * (where == "in before")
    for check in (gate.check, compare.comparison):
        with pytest.raises(InputError) as refused:
            check("before")
        assert refused.value.headline == f"{name}: metrics that cannot be compared"
        assert refused.value.problems == (f"validate.{key}: {found}",)


@pytest.mark.parametrize("missing", ["n", "accuracy", "accuracy_low", "accuracy_high"])
def test_missing_part_of_the_interval_is_named(checkout: Path, missing: str) -> None:
    commit(validate(24, 40))
    metrics = validate(24, 40)
    metrics["validate"]["majority_accuracy"] = 0.5
    del metrics["validate"][missing]
    write("evaluate", metrics)
    for check in (lambda: gate.check("before"), compare.accuracies):
        with pytest.raises(InputError, match=f"validate.{missing}: found 'nothing', expected a number"):
            check()


def test_other_metric_that_is_not_finite_is_named(checkout: Path) -> None:
    commit(validate(24, 40))
    write("audit", {"border": NONE | {"p_value": float("nan")}})
    named = r"^metrics/audit\.json: metrics that cannot be compared\n  border.p_value: found nan, expected a finite"
    for check in (gate.check, compare.comparison):
        with pytest.raises(InputError, match=named):
            check("before")
    assert list(check_committed.invalid_metrics()) == [
        "metrics/audit.json: metrics that cannot be compared border.p_value: found nan, expected a finite number"
    ]


def test_empty_base_shows_an_example(checkout: Path) -> None:
    commit(validate(24, 40))
    for check, example in ((gate.check, "make gate BASE=main"), (compare.write, "make compare BASE=main")):
        with pytest.raises(InputError, match=f"^BASE= is empty; expected a branch, a tag or a checksum: {example}"):
            check("")


def test_missing_metrics_are_named(checkout: Path) -> None:
    commit(validate(24, 40))
    Path("metrics/evaluate.json").unlink()
    with pytest.raises(InputError, match=r"metrics/evaluate\.json: No such file\nRun `make repro`"):
        gate.check("before")
