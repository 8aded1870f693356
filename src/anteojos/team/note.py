"""Write the comparison on a GitLab merge request, as one note that later runs update.

On GitHub, the workflow does the same with `gh`, in a job that runs no code of the pull request.
"""

import os

import requests

from anteojos.runtime.errors import InputError
from anteojos.team.compare import MARK, PAGE

# Variables that GitLab sets for a merge request, and a masked project access token with the scope `api`.
VARIABLES = ("CI_API_V4_URL", "CI_MERGE_REQUEST_PROJECT_ID", "CI_MERGE_REQUEST_IID", "GITLAB_TOKEN")
TIMEOUT = 60  # s


def write() -> None:
    """Write the note, or print which variable is not set. Raises InputError if there is no comparison."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        print(f"No note was written: {', '.join(missing)} not set.")
        return
    if not PAGE.is_file():
        raise InputError(f"{PAGE}: No such file", advice="Run `make compare`, which writes it.")
    api, project, request, token = (os.environ[name] for name in VARIABLES)
    notes = f"{api}/projects/{project}/merge_requests/{request}/notes"
    try:
        with requests.Session() as session:
            session.headers["PRIVATE-TOKEN"] = token
            note = own_note(session, api, notes)
            method, url = ("PUT", f"{notes}/{note}") if note else ("POST", notes)
            body = {"body": PAGE.read_text(encoding="utf-8")}
            session.request(method, url, json=body, timeout=TIMEOUT).raise_for_status()
    except requests.RequestException as error:
        # The message does not contain the token, which is sent in a header.
        raise InputError(
            f"The note was not written: {error}",
            advice="Check that GITLAB_TOKEN has the scope `api` and has not expired.",
        ) from None
    print(f"The note on the merge request was {'updated' if note else 'written'}.")


def own_note(session: requests.Session, api: str, notes: str) -> int | None:
    """Return the number of the note that an earlier run wrote, or None. `notes` is the URL of all notes."""
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
