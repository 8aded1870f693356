"""Start the real service on loopback."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

TOKEN = "a-token-for-these-tests"


@dataclass(frozen=True)
class Server:
    """A running `anteojos serve`; `log` is the file with its stderr."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)/$", self.url)[0])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def label(self, *files: Path, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(
                "/v1/labels", files=[("image", (file.name, file.read_bytes())) for file in files], **options
            )

    def metric(self, name: str) -> float:
        with self.client() as client:
            found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def lines(self, event: str = "request") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["event"] == event]


def write_no_file() -> None:
    """Have each write to a file fail, as on a full disk; a semaphore takes a few bytes of /dev/shm."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def command(model: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "anteojos", "serve", "--model", str(model), "--port", "0", *arguments]


@contextmanager
def serving(
    model: Path,
    *arguments: str,
    before: Callable[[], None] | None = None,
    stderr: Path | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Start the service; end it at the end of the block."""
    with ExitStack() as stack:
        log = stderr or Path(stack.enter_context(tempfile.TemporaryDirectory()), "log")
        process = subprocess.Popen(
            command(model, *arguments),
            stdout=subprocess.PIPE,
            stderr=stack.enter_context(log.open("w")) if stderr else subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            preexec_fn=before,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.kill)
        if not stderr:
            # Through a pipe, because the service may be unable to write files.
            stack.enter_context(subprocess.Popen(["tee", log], stdin=process.stderr, stdout=subprocess.DEVNULL))
        first = process.stdout.readline() if process.stdout else ""
        found = re.search(r"at (http://\S+)$", first.strip())
        assert found, log.read_text()
        yield Server(found[1], process, log)
        process.terminate()
        process.wait(90)


@pytest.fixture(scope="session")
def service(face_model: Path) -> Iterator[Server]:
    """A service with the default limits, which cannot write files."""
    with serving(face_model, before=write_no_file) as server:
        yield server
