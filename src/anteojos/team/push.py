"""Push the metrics that DVC's run cache needs on other machines: the second half of `make push`.

`dvc push --run-cache` pushes the list of runs, but not their metrics, which are in git and not in DVC's cache. Without
the metrics DVC cannot use the list, and a colleague's `dvc repro --pull` runs everything again.
"""

from pathlib import Path

import yaml
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from anteojos.runtime.errors import InputError


def push_metrics() -> None:
    """Push the metrics of each run in the run cache to the remote; print how many were not there yet."""
    with Repo() as repo, repo.lock:
        in_git = {str(out) for stage in repo.index.stages for out in stage.outs if not out.use_cache}
        runs = [yaml.safe_load(run.read_text()) for run in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
        found = {out["md5"] for run in runs for out in run.get("outs", []) if out["path"] in in_git}
        here = {HashInfo("md5", checksum) for checksum in found if repo.cache.local.exists(checksum)}
        pushed, failed = repo.cloud.push(here)
    if failed:
        raise InputError(f"{len(failed)} of {len(here)} metrics were not pushed", advice="Run `make push` again.")
    print(f"{len(pushed)} metrics pushed")
