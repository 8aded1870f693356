"""Set up the team's remote storage: `make remote URL=s3://bucket/path`."""

import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from anteojos.runtime.errors import InputError

NAME = "team"
HOST = r"(\[[0-9a-f:]+\]|[\w.-]+)(:\d+)?"
# Lists what is allowed and not what is forbidden: only its owner knows where a password ends.
URLS = {
    "s3://bucket/path": r"s3://[\w.-]+(/[^?#@]*)?",
    "ssh://host/path or ssh://user@host:22/path": rf"ssh://([\w.-]+@)?{HOST}/[^?#@]*",
    "a folder: /mnt/team/anteojos or ../anteojos": r"[/.~].*|[^:@]+",
}
ENDPOINTS = {"https://host:9000": rf"https?://{HOST}(/[^?#@]*)?"}
ADVICE = {
    "s3": "Keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from ~/.aws; they must allow to list, "
    "write, read and remove. A store that is not Amazon's needs its address: make remote URL=… ENDPOINT=https://…",
    "ssh": "`ssh` to that host, as that user, must log in without asking; DVC reads ~/.ssh/config.",
    "": "Check that it exists (is it mounted?) and that you may write to it.",
}
NEXT_STEPS = """{url} can be written and read: it is now the default remote, {name}, in .dvc/config.{was}
Next:
  git add .dvc/config && git commit -m "Share data through {name}"
  make push
  git push
A colleague clones the repository and types:
  make setup && . .venv/bin/activate
  dvc pull
For S3 and SSH, each person has their own keys: in the environment, in ~/.aws or ~/.ssh, or for one checkout in
.dvc/config.local, which git ignores (`dvc remote modify --local {name} ...`). Never write a key into .dvc/config."""


def set_up(url: str, endpoint: str = "") -> None:
    """Make `url` the default remote in .dvc/config, if it can be written and read; print the next steps.

    After an InputError .dvc/config is unchanged. No key is written: DVC reads keys from their usual places.
    """
    if not url:
        raise InputError(
            "URL is missing: where to store the data",
            [f"expected {form}" for form in URLS],
            "For example: make remote URL=s3://bucket/anteojos",
        )
    _require_form("URL", url, URLS)
    if not url.isascii():
        raise InputError(
            f"URL: found {url}, expected ASCII characters only, because DVC writes no others into .dvc/config",
            advice="Nothing was changed. For a folder, make a link to it with another name, and use the link as URL.",
        )
    if endpoint:
        _require_form("ENDPOINT", endpoint, ENDPOINTS)
    # Others can change shared storage. Without `verify`, DVC does not compare checksums.
    settings = {"url": url, "verify": "true"} | ({"endpointurl": endpoint} if endpoint else {})
    # As in DVC: an absolute path, without following links.
    absolute = url if "://" in url else os.path.abspath(Path(url).expanduser())  # noqa: PTH100
    with Repo(config={"remote": {NAME: {**settings, "url": absolute}}}) as repo:
        before = repo.config.load_config_to_level()
        if before["remote"].get(NAME, {}).get("url", absolute) != absolute:
            raise InputError(
                f"the remote {NAME} already exists",
                [f"found another URL (see `dvc remote list`), asked for {url}"],
                f"Nothing was changed. To use another place, run `dvc remote remove {NAME}` and `make remote` again. "
                "Pushed data stay in the old place.",
            )
        remote = repo.cloud.get_remote(NAME)
        _round_trip(remote.fs, remote.path, url)
        with repo.config.edit("repo") as config:
            config["remote"].setdefault(NAME, {}).update(settings)
            config["core"]["remote"] = NAME
    default = before["core"].get("remote", NAME)
    was = f"\nThe default was {default}. You can still use it: `dvc push --remote {default}`." * (default != NAME)
    print(NEXT_STEPS.format(url=url, name=NAME, was=was))


def _require_form(name: str, value: str, forms: dict[str, str]) -> None:
    """Raise InputError, without repeating `value`, if it matches no form: it may contain a password or a key."""
    if not any(re.fullmatch(form, value) for form in forms.values()):
        raise InputError(
            f"{name} is not of a form that can be committed",
            [f"expected {form}" for form in forms],
            "The value is not repeated here, because it may contain a password or a key. Never write these into "
            ".dvc/config, which is public in git. For other kinds of storage see `dvc remote add --help`.",
        )


def _round_trip(files: Any, folder: str, url: str) -> None:
    """Write a small file into `folder` through DVC's file system `files`, list it, read it and remove it."""
    name, content = f"anteojos-{secrets.token_hex(8)}", secrets.token_bytes(1024)
    path = files.join(folder, name)
    with tempfile.TemporaryDirectory() as temporary:
        sent, received = Path(temporary, "sent"), Path(temporary, "received")
        sent.write_bytes(content)
        step = "write to"
        try:
            files.put_file(str(sent), path)
            step = "list"
            listed = [files.name(file) for file in files.ls(folder, detail=False)]
            step = "read from"
            files.get_file(path, str(received))
            step = "remove from"
            files.remove(path)
        except Exception as error:  # each kind of storage raises its own exception types
            kind = url.partition("://")[0] if "://" in url else ""
            raise InputError(
                f"cannot {step} {url}; .dvc/config is unchanged", [str(error) or type(error).__name__], ADVICE[kind]
            ) from error
        if name not in listed or received.read_bytes() != content:
            raise InputError(f"{url} does not return what was written; .dvc/config is unchanged")
