"""What the service answers."""

import json
import re
import shutil
import socket
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from anteojos.cli import main
from anteojos.serve.server import listen
from anteojos.serve.settings import Settings
from tests.conftest import Photographs
from tests.pages import undocumented
from tests.serve.conftest import TOKEN, Server, command, serving

pytestmark = pytest.mark.slow

SCORE = {"n": 40, "accuracy": 0.9, "accuracy_low": 0.77, "accuracy_high": 0.96}


def test_labels_are_those_of_predict(
    service: Server, face_model: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(photographs.two.read_bytes()[:5000])
    files = (photographs.two, photographs.none, broken)
    main(["predict", "--model", str(face_model), "--format", "jsonl", *map(str, files)])
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    response = service.label(*files)
    assert response.status_code == 200
    found = response.json()
    assert found["model"] == sha256(face_model.read_bytes()).hexdigest()
    assert found["labels"] == [row | {"file": Path(row["file"]).name} for row in expected]
    assert [row["label"] for row in found["labels"]] == ["dark", "bright", "", ""]
    assert found["labels"][2]["warning"] == "no face found"
    assert found["labels"][3]["error"].startswith("truncated image")


def test_image_as_body_needs_no_form(service: Server, photographs: Photographs) -> None:
    with service.client() as client:
        for kind in ("image/png", "image/jpeg; quality=9", "application/octet-stream"):
            response = client.post("/v1/labels", content=photographs.two.read_bytes(), headers={"Content-Type": kind})
            assert [(row["file"], row["face"], row["label"]) for row in response.json()["labels"]] == [
                ("", 1, "dark"),
                ("", 2, "bright"),
            ]


def test_image_of_megabytes_is_never_written_to_a_file(
    service: Server, photographs: Photographs, tmp_path: Path
) -> None:
    # Starlette would write parts above 1 MB to a file, and this service cannot write any.
    large = tmp_path / "large.png"
    large.write_bytes(photographs.two.read_bytes() + bytes(3_000_000))
    assert [row["label"] for row in service.label(large).json()["labels"]] == ["dark", "bright"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "reason"),
    [
        (b"", "image/png", 422, "there is no image in the request"),
        (b"no image", "image/png", 422, "no image could be read"),
        (b"image=1", "application/x-www-form-urlencoded", 415, "expected multipart/form-data or image/*"),
        (
            b"--a\r\n\r\n",
            "multipart/form-data",
            422,
            "not a form that consists of files: Missing boundary in multipart.",
        ),
        (b"--a--\r\n", "multipart/form-data; boundary=a", 422, "there is no image in the request"),
        (
            b'--a\r\nContent-Disposition: form-data; name="image"\r\n\r\nphoto.jpg\r\n--a--\r\n',
            "multipart/form-data; boundary=a",
            422,
            "not a form that consists of files: Too many fields",
        ),
        (
            b'--a\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG',
            "multipart/form-data; boundary=a",
            422,
            "the multipart form is truncated",
        ),
    ],
)
def test_wrong_body_is_explained(service: Server, content: bytes, kind: str, status: int, reason: str) -> None:
    with service.client() as client:
        response = client.post("/v1/labels", content=content, headers={"Content-Type": kind})
    assert (response.status_code, reason in response.json()["error"]) == (status, True), response.text


def test_unknown_addresses_and_methods_are_refused_as_json(service: Server) -> None:
    with service.client() as client:
        for method, path, status in (("GET", "/etc/passwd", 404), ("GET", "/v1/labels", 405), ("DELETE", "/", 405)):
            response = client.request(method, path)
            assert response.status_code == status
            assert set(response.json()) == {"error", "request_id"}


def test_model_is_described(service: Server, face_model: Path) -> None:
    with service.client() as client:
        found = client.get("/v1/model").json()
    assert found["sha256"] == sha256(face_model.read_bytes()).hexdigest()
    assert found["classes"] == [{"label": "bright", "name": "hell"}, {"label": "dark", "name": "dunkel"}]
    assert (found["name"], found["version"], found["crop"], found["metrics"]) == ("classifier", None, "face", {})


@pytest.mark.parametrize("released", [True, False])
def test_metrics_are_those_of_the_release_or_of_the_checkout(face_model: Path, tmp_path: Path, released: bool) -> None:
    model = tmp_path / "models/model.tflite"
    model.parent.mkdir()
    shutil.copy(face_model, model)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps({"validate": SCORE}))
    digest = sha256(model.read_bytes()).hexdigest() if released else "of another model"
    release = {"name": "glasses", "version": "v1.2.0", "sha256": digest, "metrics": {"test": SCORE}}
    (model.parent / "release.json").write_text(json.dumps(release))
    with serving(model) as server, server.client() as client:
        found = client.get("/v1/model").json()
    assert found["version"] == ("v1.2.0" if released else None)
    assert found["metrics"] == ({"test": SCORE} if released else {"validate": SCORE})


def test_monitoring_sees_what_was_labelled(service: Server, photographs: Photographs) -> None:
    with service.client() as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/readyz").json() == {"status": "ready"}
    names = (
        'anteojos_images_total{result="labelled"}',
        'anteojos_images_total{result="no face"}',
        'anteojos_labels_total{label="bright"}',
        'anteojos_requests_total{path="/v1/labels",status="200"}',
        'anteojos_request_seconds_count{path="/v1/labels"}',
    )
    before = [service.metric(name) for name in names]
    service.label(photographs.two, photographs.none)
    assert [service.metric(name) for name in names] == [number + 1 for number in before]
    assert service.metric("anteojos_busy_requests") == service.metric("anteojos_buffered_bytes") == 0
    assert service.metric('anteojos_model_loads{result="loaded"}') == 1


def test_log_has_id_and_duration_but_no_names(service: Server, photographs: Photographs) -> None:
    response = service.label(photographs.two, headers={"X-Request-ID": "my-id.1"})
    assert response.headers["X-Request-ID"] == "my-id.1"
    with service.client() as client:
        made_up = client.get("/private/name?token=secret", headers={"X-Request-ID": 'a"b'}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made_up)
    (line,) = [line for line in service.lines() if line["id"] == "my-id.1"]
    assert (line["method"], line["path"], line["status"], line["images"]) == ("POST", "/v1/labels", 200, 1)
    assert 0 < line["seconds"] < 60
    assert line["bytes"] > photographs.two.stat().st_size
    log = service.log.read_text()
    assert not [word for word in ("two.png", "private", "secret") if word in log]


def test_browsers_are_told_to_be_careful(service: Server) -> None:
    with service.client() as client:
        headers = client.get("/").headers
        assert client.get("/v1/model").headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "server" not in headers


def test_other_host_names_are_refused_without_a_token(service: Server) -> None:
    with service.client() as client:
        for host, status in (
            ("evil.example", 421),
            ("127.0.0.1.evil.example:80", 421),
            ("localhost:1", 200),
            ("[::1]:1", 200),
        ):
            assert client.get("/v1/model", headers={"Host": host}).status_code == status, host


def test_token_is_required_where_others_can_connect(face_model: Path) -> None:
    with serving(face_model, "--host", "0.0.0.0", ANTEOJOS_TOKEN=TOKEN) as server, server.client() as client:
        for path in ("/v1/model", "/metrics"):
            for given in ("", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer \xe4"):
                response = client.get(path, headers={"Authorization": given.encode("latin-1")})
                assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
            headers = {"Authorization": f"bearer {TOKEN}", "Host": "service.example"}
            assert client.get(path, headers=headers).status_code == 200
        assert client.post("/v1/labels", content=b"x").status_code == 401
        for path in ("/", "/healthz", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert TOKEN not in server.log.read_text()


def test_it_does_not_start_open_to_others(
    face_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTEOJOS_TOKEN", raising=False)
    arguments = ["serve", "--model", str(face_model), "--port", "0", "--host"]
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        assert main([*arguments, host]) == 1
        message = capsys.readouterr().err
        assert f"--host {host}: other machines" in message
        assert undocumented("The service does not start", message) == []
    monkeypatch.setenv("ANTEOJOS_TOKEN", "too short")
    assert main([*arguments, "127.0.0.1"]) == 1
    message = capsys.readouterr().err
    assert "ANTEOJOS_TOKEN: found 9 characters; " in message
    assert undocumented("The service does not start", message, 1) == []
    with serving(face_model, "--host", "0.0.0.0", "--insecure", ANTEOJOS_TOKEN="") as server, server.client() as client:
        assert client.get("/v1/model", headers={"Host": "service.example"}).status_code == 200


def test_used_port_and_missing_model_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], face_model: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--model", str(face_model), "--port", str(port)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"anteojos: 127.0.0.1:{port}: ")
    assert undocumented("The service does not start", message, 2) == []
    (tmp_path / "model.tflite").write_bytes(b"damaged")
    done = subprocess.run(command(tmp_path / "model.tflite"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "model.tflite: not a model of anteojos" in done.stderr


def test_answers_are_sent_at_once() -> None:
    # Otherwise, each answer waits 40 ms for the client to confirm its head (Nagle's algorithm and delayed ACKs).
    settings = Settings(model=Path("model.tflite"), port=0)
    with listen(settings) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
