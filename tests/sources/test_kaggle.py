"""Tests of the real kagglehub, each in a new process, with a local server that answers like Kaggle."""

import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from anteojos.runtime.errors import InputError
from anteojos.sources import kaggle
from tests.conftest import ROOT
from tests.kaggle_server import (
    API,
    HANDLE,
    SIGNATURE,
    STORAGE,
    KaggleServer,
    dataset_files,
    dataset_zip,
    nobody_listens,
)
from tests.kaggle_server import kaggle_server as serving
from tests.pages import undocumented

pytestmark = pytest.mark.slow

USER = "person"
SECRET = "0123456789-secret-of-the-tests"
BASIC = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
TOKEN = {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": SECRET}
MIB = 1 << 20  # kagglehub writes in chunks of this size, so downloads resume at multiples of it

DOWNLOAD = """
import json, sys
from anteojos.sources import kaggle
from anteojos.runtime.errors import InputError
try:
    outcome = {"folder": str(kaggle.download(sys.argv[1]))}
except InputError as error:
    outcome = {"message": str(error), "chain": []}
    cause = error
    while cause is not None:
        outcome["chain"].append(repr(cause))
        cause = cause.__cause__ or cause.__context__
with open(sys.argv[2], "w") as file:
    json.dump(outcome, file)
"""


@dataclass
class Outcome:
    folder: Path | None
    message: str


@dataclass
class Machine:
    """A home folder, a cache and environment variables for a download."""

    home: Path
    cache: Path
    variables: dict[str, str] = field(default_factory=lambda: {"KAGGLE_API_ENVIRONMENT": "TEST"})

    def download(self, handle: str = HANDLE, **variables: str) -> Outcome:
        """Download in a new process, and check that its output contains no secret."""
        outcome_file = self.home / "outcome.json"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "HOME": str(self.home),
            "KAGGLEHUB_CACHE": str(self.cache),
            **self.variables,
            **variables,
        }
        run = subprocess.run(
            [sys.executable, "-c", DOWNLOAD, handle, outcome_file],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        output = run.stdout + run.stderr
        assert run.returncode == 0, output
        written = outcome_file.read_text()
        for secret in (SECRET, BASIC.removeprefix("Basic "), SIGNATURE):
            assert secret not in output
            assert secret not in written
        outcome = json.loads(written)
        if "folder" in outcome:
            return Outcome(Path(outcome["folder"]), "")
        assert len(outcome["chain"]) == 1, outcome["chain"]
        assert "dataset.source: sample" in outcome["message"]
        assert "dvc pull" in outcome["message"]
        return Outcome(None, outcome["message"])

    def archives(self) -> list[Path]:
        return list(self.cache.rglob("*.archive"))


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with serving() as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home, tmp_path / "cache")


@pytest.fixture
def streaming_machine(machine: Machine) -> Machine:
    """A machine that stores the download while it is received, like a user's machine.

    In the TEST environment, kagglehub reads the complete answer first. In the LOCALHOST environment it does not; the
    server is then the proxy to its host.
    """
    machine.variables = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "http_proxy": "http://localhost:7777"}
    return machine


def files_below(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_download_to_cache(server: KaggleServer, machine: Machine) -> None:
    outcome = machine.download(**TOKEN)

    assert files_below(outcome.folder) == dataset_files()
    assert outcome.folder is not None
    assert outcome.folder.is_relative_to(machine.cache)
    assert machine.archives() == []


def test_token_is_sent_to_api_not_to_storage(server: KaggleServer, machine: Machine) -> None:
    server.authorization = BASIC

    assert machine.download(**TOKEN).folder is not None
    assert [request.headers["authorization"] for request in server.asked(API)] == [BASIC]
    assert ["authorization" in request.headers for request in server.asked(STORAGE)] == [False]


def test_token_in_kaggle_json_is_used(server: KaggleServer, machine: Machine) -> None:
    server.authorization = BASIC
    write_kaggle_json(machine, json.dumps({"username": USER, "key": SECRET}))

    assert machine.download().folder is not None


def test_public_dataset_needs_no_token(server: KaggleServer, machine: Machine) -> None:
    assert files_below(machine.download().folder) == dataset_files()
    assert "authorization" not in server.asked(API)[0].headers


def test_second_download_uses_cache(server: KaggleServer, machine: Machine) -> None:
    first = machine.download()
    server.requests.clear()

    assert machine.download().folder == first.folder
    assert server.requests == []


def test_rejected_token_raises(server: KaggleServer, machine: Machine) -> None:
    server.authorization = "another"

    message = machine.download(**TOKEN).message

    assert undocumented("A rejected Kaggle token", message) == []
    assert "~/.kaggle" in message


def test_forbidden_dataset_hides_answer_of_server(server: KaggleServer, streaming_machine: Machine) -> None:
    server.status = 403

    message = streaming_machine.download(**TOKEN).message

    assert "rejected the token" in message
    assert "Kaggle answered 403 Forbidden" in message
    assert "https://www.kaggle.com/datasets/someone/faces" in message
    assert "No entry for you" not in message


def test_forbidden_dataset_without_token_asks_for_one(server: KaggleServer, machine: Machine) -> None:
    server.status = 403

    message = machine.download().message

    assert undocumented("Kaggle requires a token", message) == []


@pytest.mark.parametrize("place", ["Downloads/kaggle.json", "kaggle.json"])
def test_misplaced_token_is_found(server: KaggleServer, machine: Machine, place: str) -> None:
    server.status = 403
    (machine.home / "Downloads").mkdir()
    (machine.home / place).write_text(json.dumps({"username": USER, "key": SECRET}))

    message = machine.download().message

    assert f"There is a token in ~/{place}, where it is not found: move it to ~/.kaggle/kaggle.json." in message
    if place.startswith("Downloads"):
        assert undocumented("A Kaggle token in the wrong place", message) == []


def test_missing_version_raises(server: KaggleServer, machine: Machine) -> None:
    message = machine.download("someone/faces/versions/4", **TOKEN).message

    assert "Kaggle dataset someone/faces/versions/4: there is no such dataset or version" in message
    assert "Kaggle answered 404 Not Found" in message
    assert "dataset.kaggle" in message


def test_status_503_raises(server: KaggleServer, machine: Machine) -> None:
    server.status = 503

    message = machine.download(**TOKEN).message

    assert "Kaggle answered 503 Service Unavailable" in message
    assert "Wait some minutes" in message


def test_storage_403_does_not_blame_token(server: KaggleServer, machine: Machine) -> None:
    server.storage_status = 403

    message = machine.download(**TOKEN).message

    assert "the storage of Kaggle did not send it" in message
    assert "Kaggle answered 403 Forbidden" in message
    assert machine.archives() == []


def test_no_network_raises(machine: Machine) -> None:
    with nobody_listens():
        message = machine.download(**TOKEN).message

    assert "Kaggle cannot be reached" in message
    assert "no valid answer from localhost" in message
    assert "Check the network" in message


def test_interrupted_download_is_resumed(server: KaggleServer, streaming_machine: Machine) -> None:
    server.archive = dataset_zip(ballast=5 * MIB // 2)
    server.breaks_after = [3 * MIB // 2]

    folder = streaming_machine.download(**TOKEN).folder

    assert files_below(folder).keys() == {*dataset_files(), "ballast"}
    # The interrupted download; a second request, which shows that ranges are supported; the rest.
    ranges = [request.headers.get("range") for request in server.asked(STORAGE)]
    assert ranges == [None, None, f"bytes={MIB}-"]


def test_next_run_resumes_after_last_attempt(server: KaggleServer, streaming_machine: Machine) -> None:
    server.archive = dataset_zip(ballast=5 * MIB // 2)
    # Without ranges, each attempt is one request from the start.
    server.ranges = False
    server.breaks_after = [3 * MIB // 2] * kaggle.ATTEMPTS

    message = streaming_machine.download().message

    assert "the download was interrupted" in message
    assert len(server.asked(STORAGE)) == kaggle.ATTEMPTS
    assert [path.stat().st_size for path in streaming_machine.archives()] == [MIB]

    server.ranges = True
    folder = streaming_machine.download().folder

    assert files_below(folder).keys() == {*dataset_files(), "ballast"}
    assert server.requests[-1].headers["range"] == f"bytes={MIB}-"


def test_wrong_checksum_then_next_run_succeeds(server: KaggleServer, machine: Machine) -> None:
    server.damaged = 1

    message = machine.download(**TOKEN).message

    assert "the downloaded file is damaged" in message
    assert "MD5 checksum" in message
    assert machine.archives() == []
    assert files_below(machine.download(**TOKEN).folder) == dataset_files()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please sign in to this network</html>",
        dataset_zip()[:-40],
        re.sub(rb"(PK\x01\x02.{4})..", lambda record: record[1] + b"\x01\x00", dataset_zip(), flags=re.DOTALL),
        # Invalid compressed bytes after the header and name of the first entry.
        (compressed := dataset_zip(compression=zipfile.ZIP_DEFLATED))[:49] + b"\xff" * 50 + compressed[99:],
    ],
    ids=["a web page", "cut short", "encrypted", "scrambled"],
)
def test_broken_archive_then_next_run_succeeds(body: bytes, server: KaggleServer, machine: Machine) -> None:
    server.checksum = False
    server.archive = body

    message = machine.download().message

    assert "it cannot be extracted" in message
    server.archive = dataset_zip()
    assert files_below(machine.download().folder) == dataset_files()


def test_damaged_image_is_not_cached(server: KaggleServer, machine: Machine) -> None:
    server.checksum = False
    server.damaged = 1

    assert "it cannot be extracted (BadZipFile)" in machine.download().message
    assert files_below(machine.download().folder) == dataset_files()


def write_kaggle_json(machine: Machine, text: str) -> Path:
    path = machine.home / ".kaggle" / "kaggle.json"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'{{"username": "{USER}", "key": "{SECRET}"', "Invalid Kaggle credentials file at "),
        (f'{{"name": "{USER}", "key": "{SECRET}"}}', "is missing 'username' key"),
        ("7", "not a JSON object with `username` and `key`"),
    ],
)
def test_unreadable_kaggle_json_raises(text: str, found: str, machine: Machine) -> None:
    write_kaggle_json(machine, text)

    message = machine.download().message

    assert "the token on this machine cannot be read" in message
    assert found in message
    assert "Correct or remove it: public datasets need no token" in message


def test_too_long_token_is_not_shown(machine: Machine) -> None:
    # kagglehub tries to open KAGGLE_API_TOKEN as a file, and the error of the system contains the name.
    message = machine.download(KAGGLE_API_TOKEN=SECRET * 20).message

    assert "the token on this machine cannot be read" in message
    assert "File name too long" in message


def test_token_with_line_break_is_not_shown(machine: Machine) -> None:
    message = machine.download(KAGGLE_API_TOKEN=f"{SECRET}\nrest").message

    assert "the token on this machine cannot be read" in message
    assert "such as a line break" in message


def test_unwritable_cache_raises(server: KaggleServer, machine: Machine) -> None:
    machine.cache.write_text("a file where the folder should be")

    message = machine.download().message

    assert "the download cannot be stored" in message
    assert "Not a directory" in message
    assert "KAGGLEHUB_CACHE" in message


def test_kaggle_notebook_without_token_raises(machine: Machine) -> None:
    message = machine.download(KAGGLE_KERNEL_RUN_TYPE="Batch", KAGGLE_DATA_PROXY_URL="http://localhost:9").message

    assert "this notebook server has no access to it" in message
    assert "DISABLE_KAGGLE_CACHE=1" in message


@pytest.mark.parametrize(
    "handle", ["someone/faces", "someone/faces/versions/0", "someone/faces/versions/x", "../faces/versions/1", ""]
)
def test_handle_without_version_raises(handle: str) -> None:
    with pytest.raises(InputError, match="the same parameters could give other results") as caught:
        kaggle.download(handle)

    assert repr(handle) in str(caught.value)
    assert "dataset.kaggle" in str(caught.value)
