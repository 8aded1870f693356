"""`python -m anteojos.team` runs the function of each subcommand, and turns errors into messages and exit codes."""

import errno
import inspect
import re
from importlib import import_module
from pathlib import Path

import click
import pytest
from dvc.exceptions import DvcException

from anteojos.runtime.errors import InputError
from anteojos.team import __main__ as team
from anteojos.team import hook, note
from tests.conftest import ROOT


@pytest.mark.parametrize("name", team.SUBCOMMANDS)
def test_subcommand_passes_the_arguments_of_its_function(name: str) -> None:
    function, params, _ = team.SUBCOMMANDS[name]
    module, _, attribute = function.partition(".")
    signature = inspect.signature(getattr(import_module(f"anteojos.team.{module}"), attribute))
    assert list(signature.parameters) == [param.name for param in params]


def test_makefile_and_hooks_call_every_subcommand() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8") + hook.HOOK
    assert set(re.findall(r"(?:\$\(TEAM\)|anteojos\.team) ([a-z-]+)", text)) == set(team.SUBCOMMANDS)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("a file", ["a problem"], "Advice."), 1, "a file\n  a problem\nAdvice.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a file"), 1, "a file: No space left on device\n"),
        (DvcException("a lock"), 1, "a lock\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (click.UsageError("wrong"), 2, "Error: wrong\n"),
    ],
)
def test_error_is_a_message_and_an_exit_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(note, "write", fail)
    assert team.main(["note"]) == code
    assert capsys.readouterr().err.endswith(message)


def test_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(note, "write", lambda: (tmp_path / "missing").read_text())
    with pytest.raises(FileNotFoundError):
        team.main(["note"])
