"""Library logs are hidden in the stages and the command, and unchanged in other programs."""

import os
import subprocess
import sys

import pytest

from anteojos.runtime.quiet import quiet_stderr

# Pillow warns of an image of this size.
DECODE = (
    "import io, warnings; from PIL import Image; from anteojos.images import decoding; data = io.BytesIO(); "
    "Image.new('1', (9600, 9600)).save(data, 'PNG'); decoding.decode(data.getvalue()); warnings.warn('mine'); "
)


def stderr_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    return done.stderr


def test_own_process_hides_pillow_warnings_only() -> None:
    assert stderr_of(f"from anteojos.runtime.quiet import quiet_libraries; quiet_libraries(); {DECODE}") == (
        "<string>:1: UserWarning: mine\n"
    )


def test_import_leaves_warnings_and_loggers_of_the_program_alone() -> None:
    code = (
        "import asyncio, logging, tornado.log; "
        "import anteojos, anteojos.images.decoding, anteojos.model.classifier, anteojos.runtime.cluster; "
        "anteojos.Classifier; "
        "assert not any(logging.getLogger(name).disabled for name in ('asyncio', 'tornado.general')); "
    )
    assert "DecompressionBombWarning" in stderr_of(code + DECODE)


def test_dask_loggers_are_disabled_with_a_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import logging; from anteojos.runtime.quiet import quiet_libraries; quiet_libraries(); "
        "print([logging.getLogger(name).disabled for name in ('asyncio', 'tornado.general', 'distributed.client')])"
    )
    printed = []
    for scheduler in ("", "tcp://127.0.0.1:1"):
        monkeypatch.setenv("ANTEOJOS_SCHEDULER", scheduler)
        printed.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
    assert printed == ["[False, False, False]\n", "[True, True, True]\n"]


def test_stderr_keeps_errors_and_own_output(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"I0000 00:00:1 port.cc:1] oneDNN is on\nINFO: Created TensorFlow Lite XNNPACK delegate\n")
        os.write(2, b"E0000 00:00:2 cuda.cc:1] no GPU\nERROR: no memory\nmine\nW0000 00:00:3 x.cc:1] odd\n")
    with pytest.raises(ZeroDivisionError), quiet_stderr():
        1 / 0  # noqa: B018
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "E0000 00:00:2 cuda.cc:1] no GPU\nERROR: no memory\nmine\nafter\n"


def test_program_without_stderr_runs() -> None:
    code = (
        "import os; os.close(2); from anteojos.runtime.quiet import quiet_stderr\nwith quiet_stderr(): print('inside')"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE).stdout == b"inside\n"


def test_program_without_temporary_folder_runs() -> None:
    # A file of 0 bytes is the largest: no folder can be used for temporary files.
    code = (
        "import os, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "from anteojos.runtime.quiet import quiet_stderr\nwith quiet_stderr(): os.write(2, b'INFO: shown')"
    )
    assert stderr_of(code) == "INFO: shown"


def test_first_model_of_a_program_logs_nothing() -> None:
    code = (
        "from anteojos.images.detector_models import SHORT_RANGE, installed; "
        "from anteojos.runtime.litert import LiteModel; "
        "LiteModel(installed()[SHORT_RANGE])"
    )
    assert stderr_of(code) == ""
