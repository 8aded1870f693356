"""Where the service listens, who may use it, and what a request may cost."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from anteojos.runtime import threads
from anteojos.runtime.errors import InputError

TOKEN = "ANTEOJOS_TOKEN"  # noqa: S105, the name of the environment variable
_SHORTEST = 16  # characters of a token


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may ask for.

    `max_bytes` and `max_images` are those of a request, `max_pixels` those of an image. At most `max_requests` are
    labelled or wait for it. `timeout`, in seconds, is the time for the head of a request, and for its body.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_images: int = 16
    max_requests: int = field(default_factory=lambda: 2 * threads.cores())
    timeout: float = 30.0

    @property
    def max_buffered(self) -> int:
        """Bytes of all requests that are kept in memory at the same time."""
        return 10 * self.max_bytes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The model, the address, the token ("" if none is required) and the limits. `insecure` skips `check`."""

    model: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    insecure: bool = False
    workers: int = field(default_factory=threads.cores)
    limits: Limits = field(default_factory=Limits)

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return is_local(self.host)

    def check(self) -> None:
        """Raise InputError if others could use the service without a token, or if the token is easy to guess."""
        if self.token and not re.fullmatch(rf"[!-~]{{{_SHORTEST},}}", self.token):
            raise InputError(
                f"{TOKEN}: found {len(self.token)} characters; expected at least {_SHORTEST}, printable ASCII without "
                "spaces",
                advice=f"export {TOKEN}=$(openssl rand -hex 16)",
            )
        if not (self.local or self.token or self.insecure):
            raise InputError(
                f"--host {self.host}: other machines could use the service, and {TOKEN} is not set",
                advice=f"export {TOKEN}=$(openssl rand -hex 16), or allow it for everyone with --insecure.",
            )


def is_local(host: str) -> bool:
    """Return whether a host name or an address is that of this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
