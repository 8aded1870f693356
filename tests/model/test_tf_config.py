"""TF_CONFIG is read as TensorFlow reads it."""

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
def test_machines_and_own_index_are_read(
    cluster: dict[str, list[str]], role: str, index: int, task: Task | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": role, "index": index}}))
    assert tf_config.read() == task
    assert task is None or task.is_chief == (task.number == 0)


@pytest.mark.parametrize("unset", [None, ""])
def test_unset_means_one_machine(unset: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if unset is not None:
        monkeypatch.setenv("TF_CONFIG", unset)
    assert tf_config.read() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        ('{"cluster": {"worker": ["one:1"]}}', "can't be read"),
        ('{"cluster": [], "task": {"type": "worker", "index": 0}}', "can't be read"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}',
            "the cluster has ps; expected only chief and worker",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "the task is worker 2, but the cluster has no such machine",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": -1}}',
            "the task is worker -1, but the cluster has no such machine",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "the task is chief 0, but the cluster has no such machine",
        ),
    ],
)
def test_invalid_value_is_an_error(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        tf_config.read()
