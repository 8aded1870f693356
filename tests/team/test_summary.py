"""The last lines of `make repro`."""

import copy
import time
from pathlib import Path
from typing import Any

import pytest

from anteojos.runtime import durations
from anteojos.team import summary

LOCK: dict[str, Any] = {
    "fetch": {
        "cmd": "fetch",
        "deps": [{"path": "src/fetch.py", "md5": "1"}],
        "params": {"params.yaml": {"dataset.source": "archive"}},
        "outs": [{"path": "data/raw", "md5": "2.dir"}],
    },
    "train": {
        "cmd": "train",
        "deps": [{"path": "data/raw", "md5": "2.dir"}, {"path": "src/train.py", "md5": "3"}],
        "params": {"params.yaml": {"train.epochs": 12}},
        "outs": [{"path": "models/model.keras", "md5": "4"}],
    },
}
HERE = {"keras": "3.15", "instructions": "X86_V3"}


def changed(*path: str | int, value: Any = "other", output: str = "5") -> dict[str, Any]:
    """Return LOCK with another output of the last stage, and another value at `path`."""
    lock = copy.deepcopy(LOCK)
    lock["train"]["outs"][0]["md5"] = output
    *parents, last = path or ("train", "cmd")
    place: Any = lock
    for key in parents:
        place = place[key]
    place[last] = value if path else place[last]
    return lock


def explained(now: dict[str, Any], there: dict[str, str] = HERE) -> str:
    return " ".join(summary.explain(LOCK, now, there, HERE))


def test_same_results_are_the_same() -> None:
    assert explained(LOCK) == "results: the same as in the last commit, to the byte"


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (changed("train", "params", "params.yaml", "train.epochs", value=3), "train.epochs"),
        (changed("train", "deps", 1, "md5"), "src/train.py"),
        (changed("train", "cmd"), "the command of train"),
        (changed("fetch", "outs", 0, "md5"), "the source of the images"),
    ],
)
def test_changed_inputs_explain_other_results(now: dict[str, Any], named: str) -> None:
    text = explained(now, {"keras": "3.0", "instructions": "X86_V4"})
    assert f"outputs differ from the last commit, because of changes in {named}. " in text
    assert "This is expected." in text


def test_many_changed_inputs_are_counted() -> None:
    now = changed("train", "params", "params.yaml", value={f"train.{letter}": 1 for letter in "abcdef"})
    assert "because of changes in train.epochs, train.a, train.b, train.c, 3 more." in explained(now)


def test_other_cpu_and_other_versions_explain_other_results() -> None:
    text = explained(changed(), HERE | {"instructions": "X86_V4"})
    assert "1 of 2 outputs differ from the last commit, which was computed on another kind of CPU " in text
    assert "(instructions X86_V4, here X86_V3)" in text
    assert "To keep the committed results: git restore dvc.lock metrics" in text
    assert "computed with other versions (keras 3.0, here 3.15)" in explained(changed(), HERE | {"keras": "3.0"})


def test_unexplained_results_are_not_expected() -> None:
    assert "This is not expected: `make check-reproduced`" in explained(changed())


def test_only_stages_of_this_run_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc/tmp/exps/1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert summary.stages(0) == "stages: none had to run; their outputs are up to date or came from the cache"
    durations.add("fetch", 100)
    started = time.time()
    # Experiments of a queue run in copies of the checkout.
    monkeypatch.chdir(".dvc/tmp/exps/1")
    Path("models").mkdir()
    durations.NETWORK.write_bytes(b"a network")
    durations.add("train", 61.24)
    durations.add("evaluate", 4)
    monkeypatch.chdir(tmp_path)
    with Path(".dvc/tmp/durations.jsonl").open("a") as file:
        file.write('{"stage": "pre')
    assert summary.stages(started) == "stages: train 61 s, evaluate 4 s; 1 min 05 s in all"
    network = "ff1e259debc80f1fd19c8bfafc42fecc"  # DVC's checksum of the file
    assert [duration.network for duration in durations.read()] == ["", network, network]
