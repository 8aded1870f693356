"""Around each request: its id, who may send it, errors as JSON, headers for browsers, a line in the log."""

import hmac
import json
import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anteojos.serve.metrics import Metrics
from anteojos.serve.settings import Settings, is_local
from anteojos.serve.uploads import Gone, Refused

_LOG = logging.getLogger(__name__)
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
# Without a token: what monitoring asks, and what tells nothing about the model or the images.
OPEN = ("/", "/healthz", "/readyz", "/openapi.json")
PATHS = (*OPEN, "/metrics", "/v1/labels", "/v1/model")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        number = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["log"] = {}
        began, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"]).update(_HEADERS | {"X-Request-ID": number})
            await send(message)

        try:
            await self._answer(scope, headers, receive, send_with_headers, number)
        except Gone:
            pass
        finally:
            self._log(scope, number, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: Send, number: str) -> None:
        try:
            self._check(scope["path"], headers)
            await self._app(scope, receive, send)
        except Refused as refused:
            answer = JSONResponse(
                {"error": refused.reason, "request_id": number}, refused.status, headers=refused.headers
            )
            await answer(scope, receive, send)
        except Gone:
            raise
        except Exception:
            # A bug. The client gets nothing but the id, with which the traceback is found in the log.
            _LOG.exception("unexpected error", extra={"id": number})
            answer = JSONResponse({"error": "unexpected error", "request_id": number}, 500)
            await answer(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> None:
        """Raise Refused if this request may not be answered."""
        settings = self._settings
        if settings.token:
            given = headers.get("authorization", "").partition(" ")
            allowed = given[0].lower() == "bearer" and hmac.compare_digest(
                given[2].strip().encode(), settings.token.encode()
            )
            if path not in OPEN and not allowed:
                reason = "send the token of this service in the header `Authorization: Bearer TOKEN`"
                raise Refused(401, reason, **{"WWW-Authenticate": "Bearer"})
        elif settings.local and not is_local(_name(headers.get("host", ""))):
            # A web page of an attacker can point its own host name at 127.0.0.1 (DNS rebinding).
            raise Refused(421, "without a token, the service answers only requests to localhost or 127.0.0.1")

    def _log(self, scope: Scope, number: str, status: int, seconds: float) -> None:
        # The path of an unknown address, and the names of files, may be private.
        path = scope["path"] if scope["path"] in PATHS else "unknown"
        self._metrics.requests.labels(path, str(status or 499)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        values = {"id": number, "method": scope["method"], "path": path, "status": status or 499}
        _LOG.info("request", extra=values | {"seconds": round(seconds, 4)} | scope["state"]["log"])


def _name(host: str) -> str:
    """Return the name or address in a Host header, without the port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


class JsonLines(logging.Formatter):
    """Formats records as JSON, one per line."""

    _STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with its extra values."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in self._STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
