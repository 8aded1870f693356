"""Download an archive, without printing the secrets in its URL."""

import http.client
import re
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from anteojos.runtime.errors import InputError, printable
from anteojos.sources.entries import CHUNK, too_large
from anteojos.sources.layout import CHANGE_SOURCE

TIMEOUT = (10, 60)  # seconds: to connect, between two packets


def is_url(location: str) -> bool:
    """Return whether a location is a URL, not a path; raise InputError if it is a URL but not http or https."""
    if "://" not in location:
        return False
    if not re.match("https?://", location, re.IGNORECASE):
        raise InputError(
            f"{shown_url(location)}: expected a path, or a URL with http:// or https://", (), CHANGE_SOURCE
        )
    return True


def shown_url(url: str) -> str:
    """Return the URL for messages: without user, password, query and fragment, which may contain secrets."""
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
        _ = parts.port  # an invalid port is probably part of a password with a character that is not quoted
    except ValueError:
        return printable(f"{scheme}://…")
    return printable(f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def download(url: str, target: Path, max_bytes: int) -> None:
    """Download an http(s) URL to the file `target`. Raises InputError, without the secrets of the URL, if it fails."""
    shown, received = shown_url(url), 0
    try:
        # Without compression, Content-Length is the size of the file.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            if response.status_code != http.client.OK:
                found = f"{response.status_code} {http.client.responses.get(response.status_code, '')}".rstrip()
                problem = f"the server answered {found}, expected 200 OK"
                raise InputError(f"{shown}: the server did not send the archive", [problem], CHANGE_SOURCE)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            if total is not None and total > max_bytes:
                raise too_large(shown, f"the archive has {total:,} bytes", max_bytes)
            progress = tqdm(total=total, unit="B", unit_scale=True, desc="Downloading", disable=None)
            with target.open("xb") as file, progress:
                for chunk in response.iter_content(CHUNK):
                    received += len(chunk)
                    if received > max_bytes:
                        raise too_large(shown, f"stopped after {received:,} bytes of the archive", max_bytes)
                    file.write(chunk)
                    progress.update(len(chunk))
        return
    except requests.RequestException as error:
        failure = f"{_reason(error)}, after {received:,} bytes"
    # Raised outside of `except`: the exceptions of `requests` contain the URL with its secrets, and would be chained.
    raise InputError(
        f"{shown}: the download failed",
        [failure],
        "Check the URL and the network, then run `dvc repro` again. Or download the archive in another way and set "
        "`dataset.archive` to its path.",
    )


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "the certificate of the server was not accepted"
        case requests.exceptions.ProxyError():
            return "no connection to the proxy"
        case requests.Timeout():
            return "no answer in time"
        case requests.exceptions.ChunkedEncodingError() | requests.ConnectionError():
            return "no connection, or it was interrupted"
        case _:
            return type(error).__name__
