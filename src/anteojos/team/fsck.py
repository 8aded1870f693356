"""Find what is damaged in DVC's cache and among the outputs, by reading every byte, and put it out of the way.

DVC does not look that closely: it trusts what is write-protected in its cache, and files whose size and time are those
that it remembers. What is out of the way it misses, and makes again or brings from the remote.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml

from anteojos.runtime import threads
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import LEFT
from anteojos.runtime.runner import alone, remove_left, restore_from_git

RWLOCK = Path(".dvc/tmp/rwlock")
ASIDE = Path(".dvc/tmp/damaged")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `make fsck`, or with --quick what `make repro` begins with."""
    parser = argparse.ArgumentParser(prog="fsck", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="read nothing but what keeps DVC from starting")
    quick = parser.parse_args(arguments).quick
    try:
        with Repo(_wait_for_lock=True) as repo, repo.lock, alone("fsck"):
            as_it_was = recover(repo)
            if not quick:
                print(check(repo) if as_it_was else "Run `dvc repro`, then `make fsck` once more.")
    except (InputError, DvcException) as error:
        sys.exit(str(error))


def recover(repo: Any) -> bool:
    """Put right what a DVC that was killed while it wrote leaves behind, and cannot read itself.

    Tells whether dvc.lock is what it was. If not, it need not belong to the outputs that are there.
    """
    stop_if_in_use()
    remove_left()
    remove_empty_runs(Path(repo.cache.local_cache_dir))
    lock = Path("dvc.lock")
    if not lock.exists() or readable(lock, repo):
        return True
    put_aside(lock)
    instead = "git's takes its place" if restore_from_git(str(lock)) else "DVC will write it anew from its cache"
    print(f"{lock} could not be read; it is in {ASIDE} now, and {instead}", file=sys.stderr)
    return False


def stop_if_in_use() -> None:
    """Raise an `InputError` if a process is alive that DVC has noted as a user of outputs."""
    try:
        noted = json.loads(RWLOCK.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        RWLOCK.unlink()
        print(f"{RWLOCK} could not be read; removed", file=sys.stderr)
        return
    readers = (user for users in noted.get("read", {}).values() for user in users)
    users = {user["pid"]: user["cmd"] for user in [*noted.get("write", {}).values(), *readers]}
    alive = [f"process {pid}: {command}" for pid, command in users.items() if is_alive(pid)]
    if alive:
        raise InputError(
            "another DVC is at work in this checkout",
            alive,
            f"Wait until it has ended. (If that process is no DVC, remove {RWLOCK}.)",
        )
    RWLOCK.unlink()


def is_alive(pid: int) -> bool:
    """Return whether a process runs. A zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def readable(lock: Path, repo: Any) -> bool:
    """Return whether DVC can read its lock file, or a merge left a conflict in it."""
    try:
        Lockfile(repo, str(lock.absolute())).load()
    except DvcException:
        return b"\n<<<<<<< " in lock.read_bytes()
    return True


def remove_empty_runs(cache: Path) -> None:
    """Remove the folders of runs without a run, over which DVC stumbles."""
    for folder in cache.glob("runs/??/*"):
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def check(repo: Any) -> str:
    """Read the cache and the outputs whole, and say how much that was.

    A damaged file of the cache is removed, for its bytes are of no use; a damaged output is moved to `ASIDE`. They are
    an `InputError`, and so is what an output that is there lacks in the cache.
    """
    cache = Path(repo.cache.local_cache_dir)
    if cache == Path(repo.cache.default_local_cache_dir):  # and no other checkout's, whose DVC may be writing
        for left in (*cache.glob(f"files/md5/??/{LEFT}"), *cache.glob(f"runs/??/*/{LEFT}")):
            left.unlink()
    objects = {path: oid_of(path) for path in sorted(cache.glob("files/md5/??/*")) if not path.match(LEFT)}
    runs = [path for path in sorted(cache.glob("runs/??/*/*")) if not path.match(LEFT)]
    bad_objects, bad_runs = differing(objects, "cache"), [path for path in runs if not whole_run(path)]
    for path in bad_objects + bad_runs:
        path.unlink()
    remove_empty_runs(cache)

    in_cache = set(objects.values())
    outputs = outputs_known(repo, in_cache)
    bad_files = differing({path: oid for path, oid in outputs.items() if path.is_file()}, "outputs")
    for path in bad_files:
        put_aside(path)

    of = {oid: path for path, oid in outputs.items()}
    problems = [
        *(f"{shown(path)}, {of.get(oid_of(path), 'not in dvc.lock')}: damaged; removed" for path in bad_objects),
        *(f"{shown(path)}, what a run came to: damaged; removed" for path in bad_runs),
        *(f"{path}: not as in dvc.lock; moved to {ASIDE}" for path in bad_files),
        *(f"{path}: missing" for path in outputs if not path.exists() and path not in bad_files),
        *(f"{path}: missing in the cache" for path, oid in outputs.items() if oid not in in_cache),
    ]
    if problems:
        raise InputError(
            f"{len(problems)} of {len(objects) + len(runs) + len(outputs)} files are damaged or missing",
            problems,
            "`dvc repro` makes them again; where there is a remote, `dvc pull` brings them, "
            "with --all-commits also what other commits have.",
        )
    return f"{len(objects) + len(runs)} files in the cache and {len(outputs)} among the outputs: all whole."


def outputs_known(repo: Any, in_cache: set[str]) -> dict[Path, str]:
    """Return the outputs that DVC keeps, folders and the files in them, with their checksums.

    Those that were never brought here, which are neither in their place nor in the cache, are left out.
    """
    known: dict[Path, str] = {}
    for output in repo.index.outs:
        if not (output.use_cache and output.hash_info and (output.exists or output.hash_info.value in in_cache)):
            continue
        path = Path(output.fs_path).relative_to(repo.root_dir)
        known[path] = output.hash_info.value
        # None where the list of a folder's files is not in the cache.
        if output.hash_info.isdir and (files := output.get_obj()):
            known |= {path.joinpath(*key): hash_info.value for key, _, hash_info in files}
    return known


def differing(files: dict[Path, str], description: str) -> list[Path]:
    """Return the files whose MD5 differs from the given one."""
    found = threads.in_order(md5, files, total=len(files), description=description)
    return [path for path, sum in zip(files, found, strict=True) if sum != files[path].removesuffix(".dir")]


def md5(path: Path) -> str:
    """Work out a file's MD5; a file that a bad disk does not give has none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        return error.strerror or "unreadable"


def oid_of(path: Path) -> str:
    """Return the checksum in the name of a file in the cache: files/md5/ab/cdef… is abcdef…, a folder's has .dir."""
    return path.parent.name + path.name


def whole_run(path: Path) -> bool:
    """Return whether a file of the run cache has the checksum that is its name."""
    try:
        # As DVC works it out: without sizes, which runs of before DVC noted them lack. It measures them anew itself.
        return bool(dict_sha256(load_yaml(str(path)), exclude=["size", "nfiles"]) == path.name)
    except (DvcException, TypeError, AttributeError):
        return False


def put_aside(path: Path) -> None:
    """Move a file out of the way, to where nothing but a person looks for it."""
    aside = ASIDE / path
    aside.parent.mkdir(parents=True, exist_ok=True)
    path.replace(aside)


def shown(path: Path) -> Path:
    """Return a path relative to the current folder, if it is inside of it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main()
