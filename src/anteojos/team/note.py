"""Write the comparison on a GitLab merge request: one note, written anew each time.

On GitHub the workflow does the same with `gh`, in a job that runs nothing of the pull request.
"""

import os
from pathlib import Path

import requests

from anteojos.runtime.errors import InputError
from anteojos.runtime.runner import run
from anteojos.team.compare import MARK, REPORT

# GitLab's own variables of a merge request's pipeline, and a project access token with the scope `api`, masked.
VARIABLES = ("CI_API_V4_URL", "CI_MERGE_REQUEST_PROJECT_ID", "CI_MERGE_REQUEST_IID", "GITLAB_TOKEN")
TIMEOUT = 60  # s


def main() -> None:
    """Write the note, or say why there is none to write."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        print(f"No note was written: {', '.join(missing)} not set.")
        return
    api, project, request, token = (os.environ[name] for name in VARIABLES)
    with requests.Session() as session:
        session.headers["PRIVATE-TOKEN"] = token
        write(session, api, f"{api}/projects/{project}/merge_requests/{request}/notes", read(REPORT))


def read(path: Path) -> str:
    """Read the comparison; InputError where there is none."""
    if not path.is_file():
        raise InputError(f"{path}: not there", advice="Run `make compare`, which writes it.")
    return path.read_text(encoding="utf-8")


def write(session: requests.Session, api: str, notes: str, text: str) -> None:
    """Write the text over the token's own note at the URL `notes`, or as a new one where it has none."""
    try:
        note = own_note(session, api, notes)
        how, url = ("PUT", f"{notes}/{note}") if note else ("POST", notes)
        session.request(how, url, json={"body": text}, timeout=TIMEOUT).raise_for_status()
    except requests.RequestException as error:
        # Neither has the token in it: it travels in a header.
        raise InputError(
            f"The note was not written: {error}", advice="Has GITLAB_TOKEN the scope `api`, and has it not expired?"
        ) from None
    print("The note on the merge request was written" + (" anew." if note else "."))


def own_note(session: requests.Session, api: str, notes: str) -> int | None:
    """Return the number of the note that an earlier run wrote, None where there is none."""
    answer = session.get(f"{api}/user", timeout=TIMEOUT)
    answer.raise_for_status()
    author, page = answer.json()["id"], "1"
    while page:
        answer = session.get(notes, params={"page": page, "per_page": "100"}, timeout=TIMEOUT)
        answer.raise_for_status()
        for note in answer.json():
            if note["author"]["id"] == author and note["body"].startswith(MARK):
                number: int = note["id"]
                return number
        page = answer.headers.get("X-Next-Page", "")
    return None


if __name__ == "__main__":
    run(main)
