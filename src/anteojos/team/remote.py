"""Set the team's remote storage up: `make remote URL=s3://bucket/path`."""

import argparse
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anteojos.runtime.errors import InputError

NAME = "team"
HOST = r"(\[[0-9a-f:]+\]|[\w.-]+)(:\d+)?"
# Told by what they may hold, not by what they may not: where a password ends, only its owner knows.
PLACES = {
    "s3://bucket/path": r"s3://[\w.-]+(/[^?#@]*)?",
    "ssh://host/path or ssh://user@host:22/path": rf"ssh://([\w.-]+@)?{HOST}/[^?#@]*",
    "a folder: /mnt/team/anteojos or ../anteojos": r"[/.~].*|[^:@]+",
}
ENDPOINTS = {"https://host:9000": rf"https?://{HOST}(/[^?#@]*)?"}
ADVICE = {
    "s3": "Keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from ~/.aws; they have to be allowed to "
    "list, write, read and remove. A store that is not Amazon's needs its address: make remote URL=… ENDPOINT=https://…",
    "ssh": "`ssh` to that host, as that user, has to log in without a question; DVC reads ~/.ssh/config.",
    "": "Is it there (mounted?), and may you write to it?",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a place that can be written and read the default remote, and say what to do next."""
    parser = argparse.ArgumentParser(prog="python -m anteojos.team.remote", description=main.__doc__)
    parser.add_argument("url", help="; ".join(PLACES))
    parser.add_argument("--endpoint", default="", help="the address of an S3 store that is not Amazon's")
    options = parser.parse_args(arguments)
    try:
        print(set_up(options.url, options.endpoint))
    except InputError as error:
        sys.exit(f"make remote: {error}")


def set_up(url: str, endpoint: str = "") -> str:
    """Make `url` the default remote in .dvc/config, if it can be written and read; give what to do next.

    On an InputError .dvc/config is as it was. No key is written: DVC takes keys from where people keep them.
    """
    from dvc.repo import Repo  # takes half a second, which --help need not wait for

    _refuse_what_may_hold_a_key("URL", url, PLACES)
    if endpoint:
        _refuse_what_may_hold_a_key("ENDPOINT", endpoint, ENDPOINTS)
    # Whatever a team shares, somebody else may change: unless told to verify, DVC takes what comes for what was sent.
    settings = {"url": url, "verify": "true"} | ({"endpointurl": endpoint} if endpoint else {})
    # As DVC does it, without following links.
    place = url if "://" in url else os.path.abspath(Path(url).expanduser())  # noqa: PTH100
    with Repo(config={"remote": {NAME: {**settings, "url": place}}}) as repo:
        before = repo.config.load_config_to_level()
        if before["remote"].get(NAME, {}).get("url", place) != place:
            raise InputError(
                f"the remote {NAME} is already set up",
                [f"found another place, which `dvc remote list` shows, asked for {url}"],
                f"Nothing was changed. Should the team move: `dvc remote remove {NAME}`, and `make remote` again; what "
                "was pushed stays where it is.",
            )
        remote = repo.cloud.get_remote(NAME)
        _round_trip(remote.fs, remote.path, url)
        with repo.config.edit("repo") as config:
            config["remote"].setdefault(NAME, {}).update(settings)
            config["core"]["remote"] = NAME
    return _next_steps(url, before["core"].get("remote", NAME))


def _refuse_what_may_hold_a_key(what: str, value: str, forms: dict[str, str]) -> None:
    if not any(re.fullmatch(form, value) for form in forms.values()):
        raise InputError(
            f"{what} is not of a form that can be committed",
            [f"expected {form}" for form in forms],
            "What was given is not repeated here, for it may hold a password or a key. These never go into "
            ".dvc/config, which git shows to everybody. For storage of another kind see `dvc remote add --help`.",
        )


def _round_trip(files: Any, folder: str, url: str) -> None:
    """Write a small file into `folder` through DVC's file system `files`, list it, read it and remove it."""
    name, content = f"anteojos-{secrets.token_hex(8)}", secrets.token_bytes(1024)
    there = files.join(folder, name)
    with tempfile.TemporaryDirectory() as here:
        sent, came_back = Path(here, "sent"), Path(here, "came-back")
        sent.write_bytes(content)
        step = "write to"
        try:
            files.put_file(str(sent), there)
            step = "list"
            listed = [files.name(path) for path in files.ls(folder, detail=False)]
            step = "read from"
            files.get_file(there, str(came_back))
            step = "remove from"
            files.remove(there)
        except Exception as error:  # each kind of storage has errors of its own, and none is the pipeline's fault
            kind = url.partition("://")[0] if "://" in url else ""
            raise InputError(
                f"cannot {step} {url}; .dvc/config is as it was", [str(error) or type(error).__name__], ADVICE[kind]
            ) from error
        if name not in listed or came_back.read_bytes() != content:
            raise InputError(f"{url} does not give back what was written; .dvc/config is as it was")


def _next_steps(url: str, default: str) -> str:
    was = f"\nThe default was {default}, which stays under its name: `dvc push --remote {default}`." * (default != NAME)
    return f"""{url} can be written and read: it is the default remote, {NAME}, in .dvc/config.{was}
Next:
  git add .dvc/config && git commit -m "Share data through {NAME}"
  dvc push
  git push
A colleague clones the repository and types:
  make setup && . .venv/bin/activate
  dvc pull
For S3 and SSH each has keys of their own: in the environment, in ~/.aws or ~/.ssh, or for one checkout alone in
.dvc/config.local, which git ignores (`dvc remote modify --local {NAME} ...`). Never put a key into .dvc/config."""


if __name__ == "__main__":
    main()
