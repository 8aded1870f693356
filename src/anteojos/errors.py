"""The one error that a person is meant to read."""

from collections.abc import Iterable


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
