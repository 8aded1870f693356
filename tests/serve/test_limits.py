"""Each limit of the service, and clients that are slow, many or gone."""

import asyncio
import io
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.conftest import Photographs, drawn_face
from tests.serve.conftest import Server, serving

pytestmark = pytest.mark.slow

LIMITS = (
    "--max-bytes",
    "300000",
    "--max-pixels",
    "500000",
    "--max-images",
    "2",
    "--max-requests",
    "1",
    "--timeout",
    "1",
)


@pytest.fixture(scope="module")
def limited(face_model: Path) -> Iterator[Server]:
    with serving(face_model, *LIMITS) as server:
        yield server


def post(server: Server, content: object, **headers: str) -> httpx.Response:
    with server.client() as client:
        return client.post("/v1/labels", content=content, headers={"Content-Type": "image/png", **headers})  # type: ignore[arg-type]


def test_too_many_bytes_are_413(limited: Server) -> None:
    allowed, reason = post(limited, bytes(300_000)), "the request has more than 300,000 bytes"
    assert allowed.status_code == 422
    for size in (300_001, 500_000, 5_000_000):
        for content in (bytes(size), iter([bytes(1000)] * (size // 1000 + 1))):  # the second without Content-Length
            try:
                response = post(limited, content)
            except httpx.WriteError:
                assert size > 600_000  # it does not wait for more than twice the limit
                continue
            assert (response.status_code, response.json()["error"]) == (413, reason)
            assert response.headers["Connection"] == "close"


def test_client_that_asks_first_is_not_asked_to_send_too_much(limited: Server) -> None:
    head = b"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 400000\r\n\r\n"
    with connected(limited) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_too_many_pixels_are_an_error_of_the_image(limited: Server, photographs: Photographs, tmp_path: Path) -> None:
    Image.new("RGB", (1001, 500)).save(tmp_path / "large.png")
    response = limited.label(tmp_path / "large.png", photographs.two)
    assert response.status_code == 200
    first, *others = response.json()["labels"]
    assert first["error"] == "too large: 1001 × 500 px, at most 500,000 pixels"
    assert [row["label"] for row in others] == ["dark", "bright"]
    assert limited.label(tmp_path / "large.png").status_code == 422


def test_too_many_images_are_422(limited: Server, photographs: Photographs) -> None:
    assert limited.label(photographs.none, photographs.none).status_code == 200
    response = limited.label(*[photographs.none] * 3)
    assert (response.status_code, "Maximum number of files is 2" in response.json()["error"]) == (422, True)


def connected(server: Server) -> "closing[socket.socket]":
    return closing(socket.create_connection(("127.0.0.1", server.port), timeout=20))


@pytest.mark.parametrize(
    ("begin", "answer"),
    [
        (b"", b""),
        (b"POST /v1/labels HTTP/1.1\r\nHost: local", b""),
        (b"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nabc", b"HTTP/1.1 408 "),
        # The body of a request that is answered without it.
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nabc", b"HTTP/1.1 200 "),
    ],
)
def test_slow_sender_is_disconnected(limited: Server, begin: bytes, answer: bytes) -> None:
    began = time.monotonic()
    with connected(limited) as connection:
        connection.sendall(begin)
        connection.settimeout(0.2)
        received = b""
        while time.monotonic() - began < 10:
            try:
                part = connection.recv(1000)
                received += part
                if not part:
                    break
            except TimeoutError:
                connection.sendall(b"x")  # one byte at a time does not help
            except ConnectionResetError:
                break
    assert 0.8 < time.monotonic() - began < 5
    assert received.startswith(answer)
    assert bool(received) == bool(answer)


def photograph(size: int) -> bytes:
    image = io.BytesIO()
    drawn_face(1, 160).resize((size, size)).save(image, "JPEG")
    return image.getvalue()


def test_more_requests_than_fit_are_503_at_once(limited: Server) -> None:
    photo = photograph(700)

    async def all_at_once() -> list[tuple[int, str | None, float]]:
        async with httpx.AsyncClient(base_url=limited.url, timeout=60) as client:

            async def one() -> tuple[int, str | None, float]:
                began = time.monotonic()
                response = await client.post("/v1/labels", content=photo, headers={"Content-Type": "image/jpeg"})
                return response.status_code, response.headers.get("Retry-After"), time.monotonic() - began

            return await asyncio.gather(*(one() for _ in range(30)))

    found = asyncio.run(all_at_once())
    assert {answer[:2] for answer in found} == {(200, None), (503, "1")}
    assert limited.metric('anteojos_requests_total{path="/v1/labels",status="503"}') >= 1
    assert limited.metric("anteojos_busy_requests") == 0
    assert post(limited, photo).status_code == 200


def test_bodies_in_memory_are_limited_in_total(limited: Server) -> None:
    # 10 times the limit of one request; each of these connections has sent all but one byte.
    head = b"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 300000\r\n\r\n"
    connections = [socket.create_connection(("127.0.0.1", limited.port), timeout=20) for _ in range(14)]
    for connection in connections:
        connection.sendall(head + bytes(299_999))
    assert limited.metric("anteojos_buffered_bytes") <= 3_000_000
    answers = Counter(connection.recv(12) for connection in connections)
    for connection in connections:
        connection.close()
    assert set(answers) == {b"HTTP/1.1 503", b"HTTP/1.1 408"}
    assert answers[b"HTTP/1.1 503"] >= 4
    assert limited.metric("anteojos_buffered_bytes") == 0


def test_connections_are_limited(limited: Server) -> None:
    connections = [socket.create_connection(("127.0.0.1", limited.port), timeout=20) for _ in range(520)]
    try:
        refused = connections[-1].recv(1000)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")
    finally:
        for connection in connections:
            connection.close()
    time.sleep(0.5)
    with limited.client() as client:
        assert client.get("/healthz").status_code == 200


def test_large_head_is_refused(limited: Server) -> None:
    with connected(limited) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_aborted_connections_leave_nothing_behind(limited: Server) -> None:
    photo = photograph(700)
    head = f"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
    for number in range(200):
        with connected(limited) as connection:
            connection.sendall(head.encode() + photo[: len(photo) * (number % 5) // 4])
    time.sleep(1.5)
    assert limited.metric("anteojos_busy_requests") == limited.metric("anteojos_buffered_bytes") == 0
    assert post(limited, photo).status_code == 200
    assert limited.lines("unexpected error") == []


def test_images_of_an_aborted_request_are_not_labelled(service: Server) -> None:
    photo = photograph(2000)
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + photo + b"\r\n"
    body = part * 16 + b"--b--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=b"
    head = f"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    before = service.metric('anteojos_requests_total{path="/v1/labels",status="499"}')
    with connected(service) as connection:
        connection.sendall(head.encode() + body)
        while service.metric("anteojos_busy_requests") == 0:
            time.sleep(0.05)
    began = time.monotonic()
    while service.metric("anteojos_busy_requests"):
        time.sleep(0.05)
    assert time.monotonic() - began < 1  # labelling all takes several seconds
    assert service.metric('anteojos_requests_total{path="/v1/labels",status="499"}') == before + 1
