"""TF_CONFIG is read as TensorFlow reads it, and what is wrong with it is said."""

import json

import pytest

from anteojos.model import tf_config
from anteojos.model.tf_config import Task
from anteojos.runtime.errors import InputError

WORKERS = {"worker": ["one:2222", "two:2222"]}


@pytest.mark.parametrize(
    ("cluster", "role", "index", "task"),
    [
        (WORKERS, "worker", 0, Task(("one:2222", "two:2222"), 0)),
        (WORKERS, "worker", 1, Task(("one:2222", "two:2222"), 1)),
        ({"chief": ["head:1"], **WORKERS}, "chief", 0, Task(("head:1", "one:2222", "two:2222"), 0)),
        ({"chief": ["head:1"], **WORKERS}, "worker", 1, Task(("head:1", "one:2222", "two:2222"), 2)),
        ({"worker": ["one:2222"]}, "worker", 0, None),
    ],
)
def test_the_machines_and_ones_place_among_them_are_told(
    cluster: dict[str, list[str]], role: str, index: int, task: Task | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": role, "index": index}}))
    assert tf_config.read() == task
    assert task is None or task.is_chief == (task.number == 0)


@pytest.mark.parametrize("unset", [None, ""])
def test_without_it_a_machine_is_alone(unset: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if unset is not None:
        monkeypatch.setenv("TF_CONFIG", unset)
    assert tf_config.read() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        ('{"cluster": {"worker": ["one:1"]}}', "can't be read"),
        ('{"cluster": [], "task": {"type": "worker", "index": 0}}', "can't be read"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}',
            "the cluster has ps; expected chief and worker alone",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "the task is worker 2, and the cluster has no such machine",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": -1}}',
            "the task is worker -1, and the cluster has no such machine",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "the task is chief 0, and the cluster has no such machine",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=said):
        tf_config.read()
