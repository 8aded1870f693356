"""The comparison becomes one comment on a merge request or a pull request; a test server answers like the real ones."""

import json
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from anteojos.runtime.errors import InputError
from anteojos.team import note
from tests.ci_files import GITHUB

PAGE = 2  # notes; both services page


class Comments(BaseHTTPRequestHandler):
    """Answer like GitLab for the notes of a merge request, and like GitHub for the comments of a pull request."""

    server: Any

    def do_GET(self) -> None:
        if self.is_refused():
            return
        if self.path.endswith("/user"):
            return self.answer({"id": 5})
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        page = int(query.get("page", ["1"])[0])
        headers = {}
        if len(self.server.comments) > page * PAGE:
            # The first is for GitLab, the second for GitHub.
            headers["X-Next-Page"] = str(page + 1)
            headers["Link"] = f'<https://api.github.com{path}?page={page + 1}>; rel="next"'
        self.answer(self.server.comments[(page - 1) * PAGE : page * PAGE], headers)

    def do_POST(self) -> None:
        if not self.is_refused():
            author = {"author": {"id": 5}, "user": {"login": "github-actions[bot]"}}
            self.server.comments.append({"id": len(self.server.comments) + 1, **author, **self.body()})
            self.answer(self.server.comments[-1])

    def do_PUT(self) -> None:
        if not self.is_refused():
            self.server.comments[int(self.path.rpartition("/")[2]) - 1] |= self.body()
            self.answer({})

    do_PATCH = do_PUT  # noqa: N815

    def is_refused(self) -> bool:
        self.server.requests.append((self.command, self.path))
        if "a secret" in (self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization") or ""):
            return False
        self.send_error(401)
        return True

    def body(self) -> dict[str, Any]:
        text: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return text

    def answer(self, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        for name, text in {
            **(headers or {}),
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def serving(server: Any) -> Iterator[Any]:
    # A comment of a person that begins like ours, and another comment of our own.
    mine = {"id": 1, "author": {"id": 4}, "user": {"login": "a-person"}, "body": f"{note.MARK}\nWhat is this?"}
    other = {"id": 2, "author": {"id": 5}, "user": {"login": "github-actions[bot]"}, "body": "Something else"}
    server.comments, server.requests = [mine, other], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Comments)
    values = (f"http://127.0.0.1:{server.server_port}/api/v4", "7", "3", "a secret")
    for name, value in zip(note.VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("comparison").mkdir()
    write("first")
    yield from serving(server)


def write(text: str) -> None:
    note.PAGE.write_text(f"{note.MARK}\n{text}\n")


def test_second_run_updates_the_note(gitlab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    note.write()
    write("second")
    note.write()
    assert [comment["body"] for comment in gitlab.comments[1:]] == ["Something else", f"{note.MARK}\nsecond\n"]
    notes = "/api/v4/projects/7/merge_requests/3/notes"
    assert [request for request in gitlab.requests if request[0] != "GET"] == [("POST", notes), ("PUT", f"{notes}/3")]
    assert "a secret" not in "".join(capsys.readouterr())


def test_refused_token_is_an_error_and_not_shown(gitlab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "an old one")
    with pytest.raises(InputError, match=r"The note was not written: 401[\s\S]*scope `api`") as refused:
        note.write()
    assert "an old one" not in str(refused.value)
    assert len(gitlab.comments) == 2


def test_missing_variable_sends_no_request(
    gitlab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    note.write()
    assert capsys.readouterr().out == "No note was written: GITLAB_TOKEN not set.\n"
    assert gitlab.requests == []


def test_missing_comparison_is_an_error(gitlab: Any) -> None:
    note.PAGE.unlink()
    with pytest.raises(InputError, match=r"comparison/comparison\.md: No such file\nRun `make compare`"):
        note.write()


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed")
def test_second_run_of_the_github_workflow_updates_the_comment(tmp_path: Path) -> None:
    server = UnixServer(str(tmp_path / "socket"), Comments)
    run = GITHUB["jobs"]["comment"]["steps"][-1]["run"]
    environment = {
        **os.environ,
        "GH_CONFIG_DIR": str(tmp_path),
        "GH_TOKEN": "a secret",
        "GITHUB_REPOSITORY": "team/anteojos",
        "NUMBER": "3",
    }
    (tmp_path / "config.yml").write_text(f"http_unix_socket: {tmp_path / 'socket'}\n")
    for served in serving(server):
        for text in ("first", "second"):
            (tmp_path / "comparison.md").write_text(f"{note.MARK}\n{text}\n")
            subprocess.run(["bash", "-e", "-c", run], cwd=tmp_path, env=environment, check=True, timeout=60)
        assert [comment["body"] for comment in served.comments[1:]] == ["Something else", f"{note.MARK}\nsecond\n"]
        comments = "/repos/team/anteojos/issues/3/comments"
        written = [request for request in served.requests if request[0] != "GET"]
        assert written == [("POST", comments), ("PATCH", "/repos/team/anteojos/issues/comments/3")]


def test_github_workflow_looks_for_the_mark_of_compare() -> None:
    assert f'startswith("{note.MARK}")' in GITHUB["jobs"]["comment"]["steps"][-1]["run"]
