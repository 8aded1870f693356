"""Push data, models and runs to the remote, and check that the remote has them: `make push`.

`dvc push` alone is not enough. It trusts what it has pushed before, so it does not restore a file that was deleted in
the remote. And `dvc push --run-cache` omits the metrics of the runs, which are in git and not in DVC's cache: without
them, a colleague's `dvc repro --pull` runs everything again.
"""

from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo
from dvc.repo.worktree import worktree_view

from anteojos.runtime.errors import InputError
from anteojos.team.commands import default_remote, run


def push() -> None:
    """Push everything; print how many files the remote has. Raises InputError with the files that are missing there."""
    remote = default_remote()
    if not remote:
        raise InputError("there is no default remote to push to", advice="Set one up: make remote URL=s3://bucket/path")
    run("dvc", "push", "--run-cache", show=True)
    with Repo() as repo, repo.lock:
        files = {**files_of_lock(repo), **metrics_of_runs(repo)}
        storage = repo.cloud.get_remote_odb()
        absent = files.keys() - set(storage.oids_exist(list(files)))
        here = {checksum for checksum in absent if repo.cache.local.exists(checksum)}
        failed = upload(here, repo.cache.local, storage)
    problems = [
        *(f"{files[checksum]}: {error}" for checksum, error in failed.items()),
        *sorted(f"{files[checksum]}: not in this checkout's cache" for checksum in absent - here),
    ]
    if problems:
        raise InputError(
            f"{len(problems)} of {len(files)} files are missing in the remote `{remote}`",
            problems,
            "Run `make push` again in a checkout whose cache has them. If there is none, `make repro` makes outputs of "
            "stages again.",
        )
    pushed = f"; {len(here):,} of them were missing and are pushed now" if here else ""
    print(f"The remote `{remote}` has all {len(files):,} files{pushed}.")


def files_of_lock(repo: Any) -> dict[str, str]:
    """Return the paths of all files in dvc.lock by their checksums, also of the files in folders."""
    index = worktree_view(repo.index, push=True).data["repo"]
    found = {}

    def keep(entry: Any, _: Exception) -> None:
        found[entry.hash_info.value] = "/".join(entry.key)  # a folder whose list of files is nowhere

    index.onerror = keep
    for key, entry in index.iteritems():
        if entry and entry.hash_info:
            found[entry.hash_info.value] = "/".join(key)
    return found


def metrics_of_runs(repo: Any) -> dict[str, str]:
    """Return the paths of the metrics of each run in the run cache by their checksums, if they are in DVC's cache."""
    in_git = {str(out) for stage in repo.index.stages for out in stage.outs if not out.use_cache}
    runs = [yaml.safe_load(run.read_text()) for run in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
    found = {out["md5"]: out["path"] for run in runs for out in run.get("outs", []) if out["path"] in in_git}
    return {checksum: path for checksum, path in found.items() if repo.cache.local.exists(checksum)}


def upload(checksums: set[str], cache: Any, storage: Any) -> dict[str, BaseException]:
    """Copy files of the cache to the remote; return the errors by checksum."""
    failed: dict[str, BaseException] = {}
    lists = {checksum for checksum in checksums if checksum.endswith(".dir")}
    # First the files: whoever finds the list of a folder expects all files in it.
    for group in (sorted(checksums - lists), sorted(lists)):
        storage.add([cache.oid_to_path(checksum) for checksum in group], cache.fs, group, on_error=failed.__setitem__)
    return failed
