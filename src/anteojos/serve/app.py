"""The application: its addresses and what they answer."""

import asyncio
import base64
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from anteojos.serve import uploads
from anteojos.serve.guard import Guard
from anteojos.serve.metrics import Metrics
from anteojos.serve.models import Models, Unavailable
from anteojos.serve.settings import Settings
from anteojos.serve.uploads import Gone, Refused, Upload, overloaded
from anteojos.serve.worker import Answer

_LOG = logging.getLogger(__name__)
_PAGE = Path(__file__).with_name("page.html")
_OPENAPI = Path(__file__).with_name("openapi.json")


class Service:
    """The answers of the service."""

    def __init__(self, settings: Settings, models: Models) -> None:
        self._limits = settings.limits
        self._models = models
        self._buffer = uploads.Buffer(settings.limits)
        self._busy = 0
        self.metrics = Metrics()

    async def labels(self, request: Request) -> Response:
        """Label the images of a request."""
        with self._buffer.reserved(request) as reader:
            # Read the body even if there is no room, because clients read the answer after they have sent everything.
            free = self._busy < self._limits.max_requests
            body = await reader.read(keep=free)
            if not free:
                raise overloaded()
            images = await uploads.parse(request, body, self._limits)
            model, answers = await self._labelled(request, images)
        request.state.log |= {"images": len(images), "bytes": len(body)}
        self.metrics.count(answer.rows for answer in answers)
        for answer in answers:
            if answer.traceback:
                _LOG.error("an image cannot be processed", extra={"traceback": answer.traceback})
        rows = [row for answer in answers for row in answer.rows]
        if all(row["error"] for row in rows):
            return JSONResponse({"error": "no image could be read", "model": model, "labels": rows}, 422)
        return JSONResponse({"model": model, "labels": rows})

    async def _labelled(self, request: Request, images: Sequence[Upload]) -> tuple[str, list[Answer]]:
        """Return the model's answers. Raises Refused if too many requests wait, Gone if the client does not."""
        if self._busy >= self._limits.max_requests:
            raise overloaded()
        self._busy += 1
        work = asyncio.ensure_future(self._models.label(images))
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Gone
            return work.result()
        except Unavailable:
            raise overloaded() from None
        finally:
            self._busy -= 1
            work.cancel()
            gone.cancel()

    async def model(self, _request: Request) -> Response:
        """Describe the current model."""
        assert self._models.current is not None
        return JSONResponse(self._models.current.describe())

    async def metrics_page(self, _request: Request) -> Response:
        """Return the metrics in the format of Prometheus."""
        self.metrics.busy.set(self._busy)
        self.metrics.buffered.set(self._buffer.size)
        self.metrics.model.clear()
        if self._models.current:
            self.metrics.model.labels(self._models.current.classifier.sha256).set(1)
        for result, number in self._models.loads.items():
            self.metrics.loads.labels(result).set(number)
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def ready(self, _request: Request) -> Response:
        """Say whether images can be labelled now."""
        if self._busy >= self._limits.max_requests:
            raise overloaded()
        return JSONResponse({"status": "ready"})


def build(settings: Settings, models: Models) -> Starlette:
    """Return the application; `models` are loaded when it starts."""
    service = Service(settings, models)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(models.follow())
        yield
        following.cancel()

    return Starlette(
        routes=[
            Route("/", _page, methods=["GET"]),
            Route("/v1/labels", service.labels, methods=["POST"]),
            Route("/v1/model", service.model, methods=["GET"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", service.ready, methods=["GET"]),
            Route("/metrics", service.metrics_page, methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, settings=settings, metrics=service.metrics)],
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )


async def _refuse(_request: Request, error: Exception) -> Response:
    """Answer unknown addresses and methods as all errors are answered."""
    assert isinstance(error, HTTPException)
    raise Refused(error.status_code, error.detail, **(error.headers or {}))


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _openapi(_request: Request) -> Response:
    return JSONResponse(openapi())


async def _page(_request: Request) -> Response:
    page, policy = page_and_policy()
    headers = {"Content-Security-Policy": policy, "Permissions-Policy": "camera=(self), microphone=(), geolocation=()"}
    return HTMLResponse(page, headers=headers)


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = json.loads(_OPENAPI.read_text(encoding="utf-8"))
    document["info"]["version"] = version("anteojos")
    return document


@cache
def page_and_policy() -> tuple[str, str]:
    """Return the demo page, and the Content-Security-Policy that allows its script and style, and nothing else."""
    page = _PAGE.read_text(encoding="utf-8")
    script, style = (_hash(page, tag) for tag in ("script", "style"))
    return page, (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(page: str, tag: str) -> str:
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
