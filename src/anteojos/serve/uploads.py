"""Read the images of a request, in memory only and within the limits."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from anteojos.serve.settings import Limits

Upload = tuple[str, bytes]  # name and content of a file
_LONGEST_NAME = 255


class Refused(Exception):  # noqa: N818, it is an answer
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


def overloaded() -> Refused:
    """Return the answer to a request for which there is no room."""
    return Refused(503, "too many requests at the same time; try again later", **{"Retry-After": "1"})


class Gone(Exception):  # noqa: N818, nobody can be told
    """The client has closed the connection."""


class Buffer:
    """Reads bodies, and counts the bytes of those that are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size = 0

    @contextmanager
    def reserved(self, request: Request) -> Iterator["Reader"]:
        """Yield a reader of a request's body, whose memory is released at the end of the block."""
        reader = Reader(request, self._limits, self)
        try:
            yield reader
        finally:
            self.size -= reader.kept


class Reader:
    """Reads the body of one request."""

    def __init__(self, request: Request, limits: Limits, buffer: Buffer) -> None:
        self._request, self._limits, self._buffer = request, limits, buffer
        self.kept = 0

    async def read(self, keep: bool) -> bytes:
        """Return the body; with `keep` False, read it and return nothing, so that the client gets its answer.

        Clients read the answer after they have sent everything, so a body that is too large is read too, up to twice
        the limit. Raises Refused if it is too large or too slow, or if there is no memory; Gone if it is aborted.
        """
        most, body, total = self._limits.max_bytes, bytearray(), 0
        declared = self._request.headers.get("content-length", "")
        too_large = declared.isdecimal() and int(declared) > most
        if too_large and (int(declared) > 2 * most or "expect" in self._request.headers):
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.timeout):
                async for chunk in self._request.stream():
                    total += len(chunk)
                    if keep and total <= most:
                        self._reserve(len(chunk))
                        body += chunk
                    if total > 2 * most:
                        break
        except TimeoutError:
            reason = f"the body did not arrive within {self._limits.timeout:g} s"
            raise Refused(408, reason, Connection="close") from None
        except ClientDisconnect:
            raise Gone from None
        if total > most:
            raise self._too_large()
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"the request has more than {self._limits.max_bytes:,} bytes", Connection="close")

    def _reserve(self, size: int) -> None:
        if self._buffer.size + size > self._limits.max_buffered:
            raise overloaded()
        self._buffer.size += size
        self.kept += size


async def parse(request: Request, body: bytes, limits: Limits) -> list[Upload]:
    """Return the images of a body: the files of a multipart form, or the body itself. Raises Refused if it has none."""
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        uploads = await _parts(request, body, limits)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        uploads = [("", body)] if body else []
    else:
        raise Refused(415, f"found the content type {kind!r}; expected multipart/form-data or image/*")
    if not uploads:
        raise Refused(422, "there is no image in the request")
    return uploads


class _InMemory(MultiPartParser):
    # Starlette would write larger files to the disk.
    spool_max_size = sys.maxsize
    complete = False

    def on_end(self) -> None:
        self.complete = True


async def _parts(request: Request, body: bytes, limits: Limits) -> list[Upload]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, stream(), max_files=limits.max_images, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refused(422, f"not a form that consists of files: {error.message}") from None
    except Exception as error:
        raise Refused(422, f"not a multipart form: {type(error).__name__}") from None
    if not parser.complete:
        raise Refused(422, "the multipart form is truncated")
    files = [value for _, value in form.multi_items() if not isinstance(value, str)]
    return [((file.filename or "")[:_LONGEST_NAME], await file.read()) for file in files]
