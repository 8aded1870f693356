"""Push the metrics that DVC's run cache needs elsewhere: the second half of `make push`.

`dvc push --run-cache` pushes the list of what has run, but of its outputs not the metrics, which are in git instead of
DVC's cache. Without them DVC takes nothing from that list, and a colleague's `dvc repro --pull` runs all of it again.
"""

import sys
from pathlib import Path

import yaml

from anteojos.runtime.errors import InputError


def main() -> None:
    """Push the metrics of all that has run here."""
    try:
        print(f"{push_metrics()} metrics pushed")
    except InputError as error:
        sys.exit(f"make push: {error}")


def push_metrics() -> int:
    """Push the metrics of each run in the run cache that are not in the remote yet; give how many were not."""
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    with Repo() as repo, repo.lock:
        in_git = {str(out) for stage in repo.index.stages for out in stage.outs if not out.use_cache}
        runs = [yaml.safe_load(run.read_text()) for run in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
        found = {out["md5"] for run in runs for out in run.get("outs", []) if out["path"] in in_git}
        here = {HashInfo("md5", checksum) for checksum in found if repo.cache.local.exists(checksum)}
        pushed, failed = repo.cloud.push(here)
    if failed:
        raise InputError(f"{len(failed)} of {len(here)} metrics were not pushed", advice="Try `make push` again.")
    return len(pushed)


if __name__ == "__main__":
    main()
