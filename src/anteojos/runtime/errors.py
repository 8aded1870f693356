"""Errors that are shown to people without a traceback."""

import errno
from collections.abc import Iterable

# Errors of the operating system that are not bugs: missing permissions, a full or damaged disk, too little memory, a
# file in the place of a folder.
OF_THE_MACHINE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR),
}


class InputError(Exception):
    """Something from outside is not as expected: a file, a folder, a parameter, a server's answer.

    Its text is shown as it is, without a traceback. `headline` says where; `problems`, a line each and all of them at
    once, say what was found and what was expected; `advice` says what to do.
    """

    def __init__(self, headline: str, problems: Iterable[str] = (), advice: str = "") -> None:
        self.headline = headline
        self.problems = tuple(problems)
        self.advice = advice
        lines = [headline, *(f"  {problem}" for problem in self.problems), *([advice] if advice else [])]
        super().__init__("\n".join(lines))
