"""The command `anteojos`."""

import atexit
import gc
import os
from collections.abc import Sequence

import click

# Each subcommand imports what it needs, so that --help does not wait for NumPy, Pillow and LiteRT.
from anteojos.cli import data, labels, results, service
from anteojos.cli.options import INTERRUPTED, say
from anteojos.runtime.errors import InputError, message
from anteojos.runtime.quiet import quiet_libraries

# At its end, Python searches all objects that are not frozen for garbage, which takes a fifth of the time of
# `anteojos predict photo.jpg`.
atexit.register(gc.freeze)


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which they are added, not alphabetically."""
        return list(self.commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `anteojos --help` lists the codes."""
    quiet_libraries()
    # https://no-color.org: any value except an empty one.
    color = False if os.environ.get("NO_COLOR") else None
    try:
        done = command.main(arguments, prog_name="anteojos", standalone_mode=False, color=color)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        say("interrupted")
        return INTERRUPTED
    except (InputError, OSError) as error:
        text = message(error)
        if not text:
            raise
        say(text)
        return 1
    return done if isinstance(done, int) else 0


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="""\b
Examples:
  anteojos predict photo.jpg
  anteojos serve
  anteojos audit holidays/ --image leak.png
  anteojos report --against main

\b
Exit codes:
  0    success
  1    wrong input, such as a missing model
  2    wrong arguments
  3    an image could not be read
  4    with `--fail`: `audit` found a leak, or `drift` a difference
  130  interrupted""",
)
@click.version_option(package_name="anteojos", message="anteojos %(version)s")
def command() -> None:
    """Label the faces in images, with or without glasses, or the two classes of your own model."""


@click.command(
    short_help="Print the shell completion script.",
    epilog="""\b
Examples:
  eval "$(anteojos completion bash)"          # in ~/.bashrc
  eval "$(anteojos completion zsh)"           # in ~/.zshrc
  anteojos completion fish > ~/.config/fish/completions/anteojos.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes this command in a shell."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(completion_class(command, {}, "anteojos", "_ANTEOJOS_COMPLETE").source())


for each in (data.init, labels.predict, data.audit, labels.drift, data.show, results.report, service.serve, completion):
    command.add_command(each)
