"""Run the application on a socket until SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal
import socket
import sys

import click
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from anteojos.runtime.errors import InputError
from anteojos.serve.app import build
from anteojos.serve.guard import JsonLines
from anteojos.serve.models import Models
from anteojos.serve.settings import Settings

_GRACE = 70  # s, for running requests after SIGTERM; labelling takes at most 60
_HEAD = 16_384  # bytes of the head of a request
_CONNECTIONS = 500
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def run(settings: Settings) -> None:
    """Serve until the process is asked to end. Raises InputError if it cannot start."""
    settings.check()
    listening = listen(settings)
    _log_as_json()
    # SIGTERM is a normal end: while the model is loaded, and when Uvicorn raises it again after the running requests.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    asyncio.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket.socket) -> None:
    models = Models(settings)
    try:
        await models.load()
        host, port = listening.getsockname()[:2]
        click.echo(f"Serving {settings.model} at http://{f'[{host}]' if ':' in host else host}:{port}/")
        config = uvicorn.Config(
            build(settings, models),
            http=_protocol(settings.limits.timeout),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_HEAD,
            timeout_graceful_shutdown=_GRACE,
        )
        await uvicorn.Server(config).serve([listening])
    finally:
        models.close()


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens at the address of the settings. Raises InputError if this is not possible."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise InputError(
            f"{settings.host}:{settings.port}: {reason}", advice="Choose another --host or --port."
        ) from None
    # For the connections that it accepts. Otherwise the body of an answer waits up to 40 ms for the client to confirm
    # the head: asyncio sets this option only on sockets with an explicit protocol.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _protocol(timeout: float) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """Uvicorn's protocol, which would wait forever for the head of a request, and for any number of clients."""

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > _CONNECTIONS:
                transport.write(_FULL)
                transport.close()
            self._expect_request(None)

        def on_response_complete(self) -> None:
            cycle = self.cycle
            super().on_response_complete()
            self._expect_request(cycle)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._deadline:
                self._deadline.cancel()
            super().connection_lost(exc)

        def _expect_request(self, previous: RequestResponseCycle | None) -> None:
            """Close the connection if no request follows `previous` in time, or its body does not end."""
            if self._deadline:
                self._deadline.cancel()
            self._deadline = self.loop.call_later(timeout, self._close_if_waiting, previous)

        def _close_if_waiting(self, previous: RequestResponseCycle | None) -> None:
            if self.cycle is previous:
                self.transport.close()

    return Protocol
