"""Find damaged files in DVC's cache and among the outputs by reading every byte, and remove them.

DVC itself trusts write-protected files in its cache, and files with the size and time that it has stored. It makes
removed files again or pulls them from the remote.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
DAMAGED = Path(".dvc/tmp/damaged")


def check() -> None:
    """Repair what would stop DVC from starting, and read all data.

    Raises InputError with all damaged and missing files.
    """
    with _alone() as repo:
        print(check_data(repo) if recover(repo) else "Run `dvc repro`, then `make fsck` again.")


def repair() -> None:
    """Repair what would stop DVC from starting."""
    with _alone() as repo:
        recover(repo)


@contextmanager
def _alone() -> Iterator[Repo]:
    with Repo(_wait_for_lock=True) as repo, repo.lock, alone("fsck"):
        yield repo


def recover(repo: Any) -> bool:
    """Repair what DVC leaves if it is killed while it writes, and cannot read itself.

    Return whether dvc.lock was valid. If not, the new dvc.lock may not match the outputs.
    """
    stop_if_in_use()
    remove_left()
    remove_empty_runs(Path(repo.cache.local_cache_dir))
    lock = Path("dvc.lock")
    try:
        Lockfile(repo, str(lock.absolute())).load()
        return True
    except DvcException:
        # Keep a merge conflict: you have to resolve it.
        if b"\n<<<<<<< " in lock.read_bytes():
            return True
    move_aside(lock)
    source = "the version in git replaces it" if restore_from_git(str(lock)) else "DVC will write it again"
    print(f"{lock} could not be read; it was moved to {DAMAGED}, and {source}", file=sys.stderr)
    return False


def stop_if_in_use() -> None:
    """Raise InputError if a process that uses outputs, according to DVC's lock file, is still running."""
    try:
        users = json.loads(RWLOCK.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        RWLOCK.unlink()
        print(f"{RWLOCK} could not be read; removed", file=sys.stderr)
        return
    readers = (reader for readers in users.get("read", {}).values() for reader in readers)
    commands = {user["pid"]: user["cmd"] for user in [*users.get("write", {}).values(), *readers]}
    running = [f"process {pid}: {command}" for pid, command in commands.items() if is_alive(pid)]
    if running:
        raise InputError(
            "another DVC is running in this checkout",
            running,
            f"Wait until it has ended. (If this process is not DVC, remove {RWLOCK}.)",
        )
    RWLOCK.unlink()


def is_alive(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def remove_empty_runs(cache: Path) -> None:
    """Remove empty folders from the run cache, because DVC fails on them."""
    for folder in cache.glob("runs/??/*"):
        with suppress(OSError):  # not empty
            folder.rmdir()


def check_data(repo: Any) -> str:
    """Read the cache and the outputs completely; return how many files are good.

    Delete damaged files of the cache, and move damaged outputs to `DAMAGED`. Raises InputError with these files and
    those that are missing in the cache.
    """
    cache = Path(repo.cache.local_cache_dir)
    if cache == Path(repo.cache.default_local_cache_dir):  # in a shared cache, another DVC may be writing
        for left in (*cache.glob(f"files/md5/??/{LEFT}"), *cache.glob(f"runs/??/*/{LEFT}")):
            left.unlink()
    # files/md5/ab/cdef… has the checksum abcdef…; for a folder it ends in .dir.
    objects = {file: file.parent.name + file.name for file in files_in(cache, "files/md5/??/*")}
    runs = files_in(cache, "runs/??/*/*")
    bad_objects, bad_runs = differing(objects, "cache"), [run for run in runs if not is_valid_run(run)]
    for file in bad_objects + bad_runs:
        file.unlink()
    remove_empty_runs(cache)

    in_cache = set(objects.values())
    outputs = known_outputs(repo, in_cache)
    bad_outputs = differing({path: checksum for path, checksum in outputs.items() if path.is_file()}, "outputs")
    for path in bad_outputs:
        move_aside(path)

    names = {checksum: path for path, checksum in outputs.items()}
    problems = [
        *(f"{shown(file)}, {names.get(objects[file], 'not in dvc.lock')}: damaged; removed" for file in bad_objects),
        *(f"{shown(file)}, an entry of the run cache: damaged; removed" for file in bad_runs),
        *(f"{path}: differs from dvc.lock; moved to {DAMAGED}" for path in bad_outputs),
        *(f"{path}: missing" for path in outputs if not path.exists() and path not in bad_outputs),
        *(f"{path}: missing in the cache" for path, checksum in outputs.items() if checksum not in in_cache),
    ]
    if problems:
        raise InputError(
            f"{len(problems)} of {len(objects) + len(runs) + len(outputs)} files are damaged or missing",
            problems,
            "Make them again with `dvc repro`, or pull them with `dvc pull` (--all-commits also pulls those of other "
            "commits).",
        )
    return f"{len(objects) + len(runs)} files in the cache and {len(outputs)} outputs: no damage."


def files_in(cache: Path, pattern: str) -> list[Path]:
    """Return the files in the cache, sorted, without those that DVC is still writing."""
    return [file for file in sorted(cache.glob(pattern)) if not file.match(LEFT)]


def known_outputs(repo: Any, in_cache: set[str]) -> dict[Path, str]:
    """Return the outputs in DVC's cache, folders and the files in them, with their checksums.

    Skip outputs that are neither in the checkout nor in the cache: they were never pulled.
    """
    known: dict[Path, str] = {}
    for output in repo.index.outs:
        if not (output.use_cache and output.hash_info and (output.exists or output.hash_info.value in in_cache)):
            continue
        path = Path(output.fs_path).relative_to(repo.root_dir)
        known[path] = output.hash_info.value
        # get_obj returns None if the list of a folder's files is not in the cache.
        if output.hash_info.isdir and (files := output.get_obj()):
            known |= {path.joinpath(*key): hash_info.value for key, _, hash_info in files}
    return known


def differing(files: dict[Path, str], description: str) -> list[Path]:
    """Return the files whose MD5 differs from the given checksum."""
    found = threads.in_order(md5, files, total=len(files), description=description)
    return [file for file, checksum in zip(files, found, strict=True) if checksum != files[file].removesuffix(".dir")]


def md5(file: Path) -> str:
    """Return the MD5 of a file, or an error message if a damaged disk cannot read it."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "md5").hexdigest()
    except OSError as error:
        return error.strerror or "unreadable"


def is_valid_run(file: Path) -> bool:
    """Return whether the content of a file in the run cache matches its name, a checksum that DVC calculates."""
    try:
        # Old runs have no sizes, so DVC does not include them in the checksum.
        return bool(dict_sha256(load_yaml(str(file)), exclude=["size", "nfiles"]) == file.name)
    except (DvcException, TypeError, AttributeError):
        return False


def move_aside(path: Path) -> None:
    """Move a file to `DAMAGED`, where you can still look at it."""
    aside = DAMAGED / path
    aside.parent.mkdir(parents=True, exist_ok=True)
    path.replace(aside)


def shown(path: Path) -> Path:
    """Return a path relative to the current folder, if it is inside it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
