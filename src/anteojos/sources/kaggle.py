"""Images from Kaggle, by its own client."""

import contextlib
import http.client
import os
import re
import tarfile
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import requests

from anteojos.runtime.errors import InputError

ATTEMPTS = 3  # at a download whose connection breaks off; the client goes on where the last one ended
CREDENTIALS = "KAGGLE_USERNAME and KAGGLE_KEY, KAGGLE_API_TOKEN, or a file in ~/.kaggle"
WITHOUT_KAGGLE = (
    "Or do without Kaggle: `dataset.source: sample` in params.yaml draws images, `dvc pull` gets stored ones."
)
# Where browsers and people put the file that Kaggle gives, and its client does not look.
MISPLACED = (Path("~/Downloads/kaggle.json"), Path("~/kaggle.json"), Path("kaggle.json"))
TRY_AGAIN = "Wait some minutes, then run `dvc repro` again."

# What the client lets through where it cannot unpack what it has downloaded; a ValueError is its "Unsupported archive
# type.", for example where a proxy answered with a web page.
BROKEN_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, ValueError)


def download(handle: str) -> Path:
    """Download the dataset version `handle`, "owner/name/versions/N", and return its folder in kagglehub's cache.

    What the cache has complete is not downloaded again; what it has in part is gone on with. Raises InputError for a
    handle without a version, a token that is refused or cannot be read, a dataset that is not there, no network, a
    download that breaks off or is not what it should be, and a cache that cannot be written. Neither the message nor
    an exception behind it holds the token or a signed URL.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/versions/[1-9][0-9]*", handle):
        raise InputError(
            f"Kaggle dataset {handle!r}: not a dataset with its version",
            ['expected "owner/name/versions/N"; without a version, results could change under the same parameters'],
            "Correct `dataset.kaggle` in params.yaml: the dataset's page at Kaggle lists its versions.",
        )
    outcome = _unreadable_token() or _download(handle)
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def _unreadable_token() -> InputError | None:
    """What is wrong with the token on this machine, or None where there is none or the client can read it."""
    from kagglehub.config import get_kaggle_credentials  # slow to import, and other sources do without it

    try:
        credentials = get_kaggle_credentials()
    except OSError as error:
        # Not its file name: KAGGLE_API_TOKEN may be the name of a file, so a long token fails as a long name.
        reason = error.strerror or type(error).__name__
    except (ValueError, TypeError) as error:
        # The client's own ValueError names the file and what is missing in it; others may quote the file.
        reason = str(error) if type(error) is ValueError else "not a JSON object with `username` and `key`"
    else:
        values = vars(credentials).values() if credentials else ()
        if all(value is None or (str(value).isascii() and str(value).isprintable()) for value in values):
            return None
        reason = "it holds characters that no token has, such as a line break"
    return InputError(
        "Kaggle: the token on this machine cannot be read",
        [reason],
        f"Correct it, or remove it: public data need none. It was looked for in {CREDENTIALS}.\n{WITHOUT_KAGGLE}",
    )


def _download(handle: str) -> Path | InputError:
    """Return failures instead of raising them: the client's exceptions hold the token, and would be chained."""
    import kagglehub
    from kagglehub import exceptions

    for _ in range(ATTEMPTS):
        try:
            # The client logs through a stream that it took when imported. What it prints now are whole requests, with
            # the token (KAGGLE_API_ENVIRONMENT=TEST).
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
                return Path(kagglehub.dataset_download(handle))
        except requests.exceptions.ChunkedEncodingError:
            continue
        except requests.HTTPError as error:
            return _refused(handle, error)
        except requests.RequestException as error:
            return _unreachable(handle, error)
        except exceptions.DataCorruptionError as error:
            # The client itself has thrown the archive away.
            return _not_as_sent(handle, " ".join(str(error).split()))
        except BROKEN_ARCHIVE as error:
            _discard(handle)
            return _not_as_sent(handle, f"it cannot be unpacked ({type(error).__name__})")
        except OSError as error:
            return InputError(
                f"Kaggle dataset {handle}: the download could not be stored",
                [f"{error.filename or 'the cache'}: {error.strerror or type(error).__name__}"],
                "Make room, or set KAGGLEHUB_CACHE to another folder, then run `dvc repro` again.\n" + WITHOUT_KAGGLE,
            )
        except (
            exceptions.CredentialError,
            exceptions.KaggleEnvironmentError,
            exceptions.ColabEnvironmentError,
            exceptions.BackendError,
            exceptions.NotFoundError,
        ) as error:
            return InputError(
                f"Kaggle dataset {handle}: this notebook server has no access to it",
                [type(error).__name__],
                "Set DISABLE_KAGGLE_CACHE=1 and DISABLE_COLAB_CACHE=1 to download it over the network, then run "
                f"`dvc repro` again.\n{WITHOUT_KAGGLE}",
            )
    return InputError(
        f"Kaggle dataset {handle}: the download broke off",
        [f"{ATTEMPTS} times one after the other; the next run goes on from what has been stored"],
        f"{TRY_AGAIN}\n{WITHOUT_KAGGLE}",
    )


def _refused(handle: str, error: requests.HTTPError) -> InputError:
    """Say what the status of the server's answer means, and what to do."""
    response = error.response
    status = response.status_code
    with_token = "Authorization" in response.request.headers
    page = f"https://www.kaggle.com/datasets/{handle.partition('/versions/')[0]}"
    answer = f"Kaggle answered {status} {http.client.responses.get(status, '')}".rstrip()
    match status:
        case _ if response.history:
            # Redirected: the dataset is there and may be read, but the storage does not take the link that Kaggle gave.
            headline, advice = "Kaggle's storage could not answer", TRY_AGAIN
        case 401 | 403 if with_token:
            headline = "Kaggle refused the token of this machine, or its owner may not read the dataset"
            advice = (
                f"Make a new token in the settings at Kaggle and put it in {CREDENTIALS}; or remove it: public data "
                f"need none. Is there a licence to accept at {page}?"
            )
        case 401 | 403:
            headline = "Kaggle gives it to no one without a token, or not at all"
            advice = f"{_where_to_get_a_token()} Can you open {page}?"
        case 404:
            headline = "there is no such dataset or version"
            advice = f"Look for it at {page} and correct `dataset.kaggle` in params.yaml."
        case _:
            headline, advice = "Kaggle could not answer", TRY_AGAIN
    return InputError(f"Kaggle dataset {handle}: {headline}", [answer], f"{advice}\n{WITHOUT_KAGGLE}")


def _where_to_get_a_token() -> str:
    for path in MISPLACED:
        if path.expanduser().is_file():
            return f"There is a token in {path}, where it is not looked for: move it to ~/.kaggle/kaggle.json."
    return f"Make a token in the settings at Kaggle and put it in {CREDENTIALS}."


def _unreachable(handle: str, error: requests.RequestException) -> InputError:
    # Only the host, for the rest of the URL may be signed.
    host = urlsplit(str(error.request.url)).hostname if error.request is not None else None
    return InputError(
        f"Kaggle dataset {handle}: Kaggle cannot be reached",
        [f"no answer from {host or 'Kaggle'} that can be used ({type(error).__name__})"],
        f"Check the network, and the proxy if there is one, then run `dvc repro` again.\n{WITHOUT_KAGGLE}",
    )


def _not_as_sent(handle: str, found: str) -> InputError:
    return InputError(
        f"Kaggle dataset {handle}: what arrived is not what Kaggle has",
        [found],
        f"It has been thrown away. Run `dvc repro` again to download it anew.\n{WITHOUT_KAGGLE}",
    )


def _discard(handle: str) -> None:
    """Delete what the client keeps of a broken download; it would unpack the same archive again and again."""
    from kagglehub.cache import delete_from_cache, get_cached_archive_path
    from kagglehub.handle import parse_dataset_handle

    dataset = parse_dataset_handle(handle)
    Path(get_cached_archive_path(dataset)).unlink(missing_ok=True)
    delete_from_cache(dataset)
