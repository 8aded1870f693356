"""Errors that users see without a traceback, and text that is safe to print."""

import errno
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

# System errors that are not bugs: missing permissions, a full or damaged disk, too little memory, a file in the place
# of a folder.
SYSTEM_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR),
}
MAX_LINES = 20  # of one kind in an error message


class InputError(Exception):
    """An input is not as expected: a file, a folder, a parameter, the answer of a server.

    The user sees its text without a traceback. `headline` says where; `problems`, one line each, say what was found and
    what was expected; `advice` says what to do. The text shows at most MAX_LINES problems of one kind, see `_kind`;
    `problems` has all of them.
    """

    def __init__(self, headline: str, problems: Iterable[str] = (), advice: str = "") -> None:
        self.headline = headline
        self.problems = tuple(problems)
        self.advice = advice
        kinds = defaultdict(list)
        for problem in self.problems:
            kinds[_kind(problem)].append(f"  {problem}")
        lines = [line for kind in kinds.values() for line in capped(kind, "  ")]
        super().__init__("\n".join([headline, *lines, *([advice] if advice else [])]))


def _kind(problem: str) -> str:
    """Return the first words after the last colon, without numbers and what may be a name."""
    words = problem.rpartition(": ")[2].split()
    return " ".join([word for word in words if not re.search(r"""[\d./\\'"]""", word)][:3])


def message(error: BaseException) -> str:
    """Return the message of an error that is not a bug; "" for one that needs its traceback."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        return f"{error.filename or 'writing'}: {error.strerror}"
    return str(error) if isinstance(error, InputError) else ""


def capped(lines: Sequence[str], indent: str = "") -> list[str]:
    """Return the first MAX_LINES lines, and a line with the number of the others."""
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], *([f"{indent}… and {more:,} more"] if more > 0 else [])]


def printable(name: str | Path) -> str:
    """Return a name in which control characters and other unprintable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(name))
