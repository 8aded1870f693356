"""Download a dataset from Kaggle with its own client, kagglehub."""

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

ATTEMPTS = 3  # if the connection is interrupted; the client continues where the last attempt ended
CREDENTIALS = "KAGGLE_USERNAME and KAGGLE_KEY, KAGGLE_API_TOKEN, or a file in ~/.kaggle"
WITHOUT_KAGGLE = "Or without Kaggle: set `dataset.source: sample` in params.yaml to draw images, or run `dvc pull`."
# Where browsers and users often store the token, but kagglehub does not find it.
MISPLACED = (Path("~/Downloads/kaggle.json"), Path("~/kaggle.json"), Path("kaggle.json"))
TRY_AGAIN = "Wait some minutes, then run `dvc repro` again."

# Exceptions of the client if it cannot extract the downloaded file. ValueError is its "Unsupported archive type.", for
# example if a proxy answered with a web page.
BROKEN_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, ValueError)


def download(handle: str) -> Path:
    """Download the dataset version `handle`, "owner/name/versions/N", and return its folder in the cache of kagglehub.

    A complete dataset in the cache is not downloaded again; an incomplete download continues. Raise InputError if the
    handle has no version, the token is rejected or cannot be read, the dataset does not exist, the network fails, the
    file is damaged, or the cache cannot be written. The error and its causes never contain the token or a signed URL.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/versions/[1-9][0-9]*", handle):
        raise InputError(
            f"Kaggle dataset {handle!r}: the version is missing, or the name is invalid",
            ['expected "owner/name/versions/N"; without a version, the same parameters could give other results'],
            "Correct `dataset.kaggle` in params.yaml. The page of the dataset at Kaggle lists its versions.",
        )
    outcome = _unreadable_token() or _download(handle)
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def _error(handle: str, headline: str, problem: str, advice: str) -> InputError:
    return InputError(f"Kaggle dataset {handle}: {headline}", [problem], f"{advice}\n{WITHOUT_KAGGLE}")


def _unreadable_token() -> InputError | None:
    """Return an error if the token on this machine cannot be read, or None if it can or if there is no token."""
    from kagglehub.config import get_kaggle_credentials  # slow import, not needed for other sources

    try:
        credentials = get_kaggle_credentials()
    except OSError as error:
        # Without the file name: kagglehub tries to open KAGGLE_API_TOKEN as a file, so it may be the token itself.
        reason = error.strerror or type(error).__name__
    except (ValueError, TypeError) as error:
        # The client's own ValueError names the file and the missing key; its subclasses may quote the file.
        reason = str(error) if type(error) is ValueError else "not a JSON object with `username` and `key`"
    else:
        values = vars(credentials).values() if credentials else ()
        if all(value is None or (str(value).isascii() and str(value).isprintable()) for value in values):
            return None
        reason = "it contains characters that are not allowed in a token, such as a line break"
    return InputError(
        "Kaggle: the token on this machine cannot be read",
        [reason],
        f"Correct or remove it: public datasets need no token. anteojos reads {CREDENTIALS}.\n{WITHOUT_KAGGLE}",
    )


def _download(handle: str) -> Path | InputError:
    """Download a dataset. Errors are returned, because raising them would chain exceptions that contain the token."""
    import kagglehub
    from kagglehub import exceptions

    for _ in range(ATTEMPTS):
        try:
            # With KAGGLE_API_ENVIRONMENT=TEST the client prints requests with the token to stdout.
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
                return Path(kagglehub.dataset_download(handle))
        except requests.exceptions.ChunkedEncodingError:
            continue
        except requests.HTTPError as error:
            return _http_error(handle, error)
        except requests.RequestException as error:
            # Only the host, because the rest of the URL may be signed.
            host = urlsplit(str(error.request.url)).hostname if error.request is not None else None
            problem = f"no valid answer from {host or 'Kaggle'} ({type(error).__name__})"
            advice = "Check the network, and the proxy if there is one, then run `dvc repro` again."
            return _error(handle, "Kaggle cannot be reached", problem, advice)
        except exceptions.DataCorruptionError as error:
            # The client has already deleted the file.
            return _damaged(handle, " ".join(str(error).split()))
        except BROKEN_ARCHIVE as error:
            _discard(handle)
            return _damaged(handle, f"it cannot be extracted ({type(error).__name__})")
        except OSError as error:
            problem = f"{error.filename or 'the cache'}: {error.strerror or type(error).__name__}"
            advice = "Free disk space, or set KAGGLEHUB_CACHE to another folder, then run `dvc repro` again."
            return _error(handle, "the download cannot be stored", problem, advice)
        except (exceptions.CredentialError, exceptions.KaggleEnvironmentError, exceptions.ColabEnvironmentError,
                exceptions.BackendError, exceptions.NotFoundError) as error:  # fmt: skip
            advice = "Set DISABLE_KAGGLE_CACHE=1 and DISABLE_COLAB_CACHE=1, then run `dvc repro` again."
            return _error(handle, "this notebook server has no access to it", type(error).__name__, advice)
    problem = f"{ATTEMPTS} times in a row; the next run continues the download"
    return _error(handle, "the download was interrupted", problem, TRY_AGAIN)


def _http_error(handle: str, error: requests.HTTPError) -> InputError:
    """Return an error that explains the status code and says what to do."""
    response = error.response
    status = response.status_code
    page = f"https://www.kaggle.com/datasets/{handle.partition('/versions/')[0]}"
    if response.history:
        # After a redirect: the dataset exists and may be read, but the storage rejects the link that Kaggle gave.
        headline, advice = "the storage of Kaggle did not send it", TRY_AGAIN
    elif status in (401, 403) and "Authorization" in response.request.headers:
        headline = "Kaggle rejected the token of this machine, or its owner has no access to the dataset"
        advice = (
            f"Create a new token in the settings at Kaggle and put it in {CREDENTIALS}; or remove it: public datasets "
            f"need no token. Check if you must accept a licence at {page}."
        )
    elif status in (401, 403):
        headline = "Kaggle requires a token, or gives nobody access"
        advice = f"{_token_advice()} Check if you can open {page}."
    elif status == http.client.NOT_FOUND:
        headline = "there is no such dataset or version"
        advice = f"Look for it at {page} and correct `dataset.kaggle` in params.yaml."
    else:
        headline, advice = "Kaggle did not send it", TRY_AGAIN
    answer = f"Kaggle answered {status} {http.client.responses.get(status, '')}".rstrip()
    return _error(handle, headline, answer, advice)


def _token_advice() -> str:
    for path in MISPLACED:
        if path.expanduser().is_file():
            return f"There is a token in {path}, where it is not found: move it to ~/.kaggle/kaggle.json."
    return f"Create a token in the settings at Kaggle and put it in {CREDENTIALS}."


def _damaged(handle: str, problem: str) -> InputError:
    return _error(handle, "the downloaded file is damaged", problem, "Run `dvc repro` again to download it again.")


def _discard(handle: str) -> None:
    """Delete a broken download from the cache of the client, which would extract the same file again."""
    from kagglehub.cache import delete_from_cache, get_cached_archive_path
    from kagglehub.handle import parse_dataset_handle

    dataset = parse_dataset_handle(handle)
    Path(get_cached_archive_path(dataset)).unlink(missing_ok=True)
    delete_from_cache(dataset)
