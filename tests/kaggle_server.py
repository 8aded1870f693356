"""A local server that answers kagglehub as Kaggle and its storage do, with or without faults."""

import base64
import errno
import hashlib
import io
import json
import random
import re
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar
from urllib.parse import urlsplit

from PIL import Image

PORT = 7777  # kagglehub's, for KAGGLE_API_ENVIRONMENT=TEST
HANDLE = "someone/faces/versions/3"
SIGNATURE = "signature-that-opens-the-storage"
API = "/api/v1/datasets.DatasetApiService/DownloadDataset"
STORAGE = "/storage/archive.zip"

T = TypeVar("T")


def dataset_zip(ballast: int = 0, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip with one tiny image per class and split, and `ballast` random bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in dataset_files().items():
            archive.writestr(name, content)
        if ballast:
            archive.writestr("ballast", random.Random(0).randbytes(ballast))
    return buffer.getvalue()


def dataset_files() -> dict[str, bytes]:
    """Return the files of the zip by name; each is a different image."""
    names = [f"{split}/{label}/1.jpg" for split in ("train", "validate") for label in ("glasses", "noglasses")]
    return {name: tiny_jpeg(50 * number) for number, name in enumerate([*names, "test/1.jpg"])}


def tiny_jpeg(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), grey).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Request:
    """A request of the client; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class KaggleServer(ThreadingHTTPServer):
    """The API of Kaggle for one dataset version, and the storage it redirects to; attributes select faults."""

    daemon_threads = True

    def __init__(self) -> None:
        self.archive = dataset_zip()
        self.status = 200  # of the API; its error message repeats the token
        self.storage_status = 200  # of the storage
        self.authorization: str | None = None  # if set, requests with another value get 401
        self.breaks_after: list[int] = []  # bytes after which the storage closes the connection, per answer
        self.ranges = True  # the storage supports range requests
        self.checksum = True  # the storage sends the checksum
        self.damaged = 0  # number of answers of the storage with a wrong byte in the middle
        self.requests: list[Request] = []
        super().__init__(("localhost", PORT), _Handler)

    def asked(self, path: str) -> list[Request]:
        """Return the requests for a path, in order."""
        return [request for request in self.requests if request.path == path]


class _Handler(BaseHTTPRequestHandler):
    server: KaggleServer

    def do_POST(self) -> None:
        request = self.record()
        wanted = json.loads(request.body) if request.path == API else {}
        status = self.server.status
        if self.server.authorization not in (None, request.headers.get("authorization")):
            status = 401
        elif (wanted.get("ownerSlug"), wanted.get("datasetSlug"), wanted.get("datasetVersionNumber")) != (
            "someone",
            "faces",
            3,
        ):
            status = 404
        if status == 200:
            # Redirect to another host, as Kaggle does, so that the client does not send the token there.
            self.answer(302, {"Location": f"http://127.0.0.1:{PORT}{STORAGE}?X-Goog-Signature={SIGNATURE}"}, b"")
        else:
            message = f"No entry for you: {request.headers.get('authorization')}"
            body = json.dumps({"code": status, "message": message}).encode()
            self.answer(status, {"Content-Type": "application/json"}, body)

    def do_GET(self) -> None:
        request = self.record()
        if self.server.storage_status != 200:
            self.answer(self.server.storage_status, {"Content-Type": "application/xml"}, b"<Code>ExpiredToken</Code>")
            return
        body = self.server.archive
        headers = {"Content-Type": "application/zip"}
        if self.server.checksum:
            md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
            headers["x-goog-hash"] = f"crc32c=AAAAAA==,md5={md5}"
        if self.server.damaged:
            self.server.damaged -= 1
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
        status = 200
        if self.server.ranges:
            headers["Accept-Ranges"] = "bytes"
            if wanted := re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", "")):
                status, start, total = 206, int(wanted[1]), len(body)
                body = body[start:]
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self.answer(status, headers, body, self.server.breaks_after.pop(0) if self.server.breaks_after else None)

    def record(self) -> Request:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        # As a proxy, the server receives full URLs.
        request = Request(self.command, urlsplit(self.path).path, headers, body)
        self.server.requests.append(request)
        return request

    def answer(self, status: int, headers: dict[str, str], body: bytes, break_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        # The client may close the connection before the end.
        with suppress(ConnectionError):
            self.wfile.write(body[:break_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def kaggle_server() -> Iterator[KaggleServer]:
    """Run the server on the port that kagglehub uses in tests."""
    server = once_port_is_free(KaggleServer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def nobody_listens() -> Iterator[None]:
    """Bind the port of kagglehub without listening, so that connections are refused."""

    def hold() -> socket.socket:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("localhost", PORT))
        except OSError:
            held.close()
            raise
        return held

    with once_port_is_free(hold):
        yield


def once_port_is_free(take: Callable[[], T], patience: float = 60) -> T:
    """Return the result of `take`; if the port is in use, wait up to `patience` seconds for other test runs."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return take()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() > deadline:
                message = f"port {PORT}, which kagglehub needs for tests, is used by another program"
                raise RuntimeError(message) from error
            time.sleep(0.1)
