"""Damaged models, crashes, full disks, signals, and hostile input."""

import concurrent.futures
import io
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.conftest import RANGES, Photographs, face_metadata, without_metadata
from tests.serve.conftest import Server, command, serving
from tests.serve.test_limits import photograph

pytestmark = pytest.mark.slow


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def served(server: Server) -> str:
    with server.client() as client:
        return str(client.get("/v1/model").json()["sha256"])


def test_replaced_model_is_used_without_a_failed_request(
    face_model: Path, photographs: Photographs, tmp_path: Path
) -> None:
    model, other = tmp_path / "model.tflite", tmp_path / "other.tflite"
    shutil.copy(face_model, model)
    other.write_bytes(without_metadata(face_model))
    replace(face_metadata(RANGES), names=("new", "alt")).attach(other)
    first, second = digest(model), digest(other)
    answers: list[tuple[int, str]] = []
    done = threading.Event()
    with serving(model) as server:

        def ask() -> None:
            while not done.is_set():
                response = server.label(photographs.small)
                answers.append((response.status_code, response.json()["model"]))

        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            asking = [executor.submit(ask) for _ in range(2)]
            try:
                until(lambda: len(answers) > 4)
                other.replace(model)
                until(lambda: served(server) == second)
                # Damaged, then missing: the current model stays.
                model.write_bytes(b"damaged")
                until(lambda: server.metric('anteojos_model_loads{result="failed"}') == 1)
                model.unlink()
                count = len(answers)
                until(lambda: len(answers) > count + 4)
            finally:
                done.set()
            for each in asking:
                each.result()
        assert served(server) == second
        assert [line["reason"].startswith(str(model)) for line in server.lines("the new model file is not used")] == [
            True
        ]
        shutil.copy(face_model, model)
        until(lambda: served(server) == first)
    assert {status for status, _ in answers} == {200}
    models = [model for _, model in answers]
    assert models == sorted(models, key=[first, second].index)
    assert set(models) == {first, second}


def test_sigterm_finishes_running_requests(face_model: Path) -> None:
    photo = photograph(2000)
    with serving(face_model) as server, concurrent.futures.ThreadPoolExecutor(2) as executor:

        def ask() -> int:
            with server.client() as client:
                files = [("image", ("a.jpg", photo))] * 6
                return client.post("/v1/labels", files=files).status_code

        running = [executor.submit(ask) for _ in range(2)]
        until(lambda: server.metric("anteojos_busy_requests") == 2)
        server.process.send_signal(signal.SIGTERM)
        assert [each.result() for each in running] == [200, 200]
        assert server.process.wait(20) == 0
        with pytest.raises(httpx.ConnectError), server.client() as client:
            client.get("/healthz")


def test_sigterm_ends_the_start_too(face_model: Path) -> None:
    for seconds in (1.5, 2.5):
        with subprocess.Popen(command(face_model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.terminate()
            try:
                assert process.wait(15) in (0, -signal.SIGTERM)  # the latter before it has begun
            finally:
                process.kill()


def test_killed_service_leaves_no_process_and_starts_again_at_once(face_model: Path, photographs: Photographs) -> None:
    with serving(face_model) as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        port = server.port
        assert server.label(photographs.two).status_code == 200
        server.process.kill()
        server.process.wait(10)
        until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
        with serving(face_model, "--port", str(port)) as again:
            assert again.label(photographs.two).status_code == 200


def test_crashed_process_is_replaced(face_model: Path, photographs: Photographs) -> None:
    with serving(face_model) as server:
        for child in psutil.Process(server.process.pid).children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGSEGV)
        statuses = [server.label(photographs.two).status_code for _ in range(3)]
        assert statuses[-1] == 200
        assert set(statuses) <= {200, 503}
        assert server.lines("a process crashed or hangs")


def test_full_disk_under_the_log_stops_nothing(face_model: Path, photographs: Photographs) -> None:
    with serving(face_model, stderr=Path("/dev/full")) as server:
        assert [server.label(photographs.two).status_code for _ in range(3)] == [200] * 3


def hostile(rng: random.Random, images: list[bytes]) -> tuple[bytes, str]:
    """Return a body and its content type: a damaged image, a damaged form, or noise."""
    image = bytearray(rng.choice(images))
    match rng.randrange(6):
        case 0:
            image = image[: rng.randrange(len(image))]
        case 1:
            for _ in range(rng.randrange(1, 30)):
                image[rng.randrange(len(image))] = rng.randrange(256)
        case 2:  # sizes and offsets are in the head
            for _ in range(rng.randrange(1, 6)):
                image[rng.randrange(min(64, len(image)))] = rng.choice((0, 0x7F, 0xFF))
        case 3:
            image = bytearray(rng.randbytes(rng.randrange(2000)))
    if rng.random() < 0.5:
        return bytes(image), "image/png"
    name = rng.choice(("../../etc/passwd", "a" * 5000, "\0", 'x"; name="y', "é.png", ""))
    form = (
        f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
        + image
        + b"\r\n--b--\r\n"
    )
    if rng.random() < 0.5:
        form = bytearray(form)
        for _ in range(rng.randrange(1, 8)):
            form[rng.randrange(min(120, len(form)))] = rng.randrange(256)
    kinds = ("multipart/form-data; boundary=b",) * 6 + (
        "multipart/form-data",
        "multipart/form-data; boundary=\xff",
        "text/plain",
    )
    return bytes(form), rng.choice(kinds)


@pytest.mark.timeout(600)
def test_hostile_bodies_never_break_the_service(service: Server) -> None:
    image, images = Image.open(io.BytesIO(photograph(160))), []
    for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"):
        data = io.BytesIO()
        image.save(data, form)
        images.append(data.getvalue())
    rng = random.Random(0)
    bodies = [hostile(rng, images) for _ in range(2000)]

    with service.client() as client, concurrent.futures.ThreadPoolExecutor(3) as executor:

        def send(item: tuple[bytes, str]) -> httpx.Response:
            return client.post("/v1/labels", content=item[0], headers={"Content-Type": item[1].encode("latin-1")})

        answers = list(executor.map(send, bodies))
    found = Counter(answer.status_code for answer in answers)
    assert set(found) == {200, 415, 422}
    assert min(found.values()) > 20
    for answer in answers:
        assert answer.headers["Content-Type"] == "application/json"
        assert not re.search(r"Traceback|site-packages|/tmp|\.py\b", answer.text), answer.text
    assert service.lines("unexpected error") == service.lines("an image cannot be processed") == []
    assert service.metric("anteojos_busy_requests") == service.metric("anteojos_buffered_bytes") == 0


def test_bytes_that_are_not_http_are_refused(service: Server) -> None:
    rng = random.Random(1)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(rng.randbytes(200) + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1000)[:13] in (b"HTTP/1.1 400 ", b"")
    with service.client() as client:
        assert client.get("/healthz").status_code == 200


def test_service_does_not_start_twice_on_a_port(service: Server, face_model: Path) -> None:
    again = subprocess.run(
        [*command(face_model), "--port", str(service.port)], capture_output=True, text=True, env=dict(os.environ)
    )
    assert (again.returncode, "Address already in use" in again.stderr) == (1, True)
