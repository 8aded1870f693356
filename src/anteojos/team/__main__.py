"""The command `python -m anteojos.team`, which the targets of the Makefile call."""

import sys

import click

from anteojos.runtime.errors import OF_THE_MACHINE, InputError

# Subcommands import what they need when they run: `make repro` starts three of them.
INTERRUPTED = 130


def main() -> int:
    """Run a subcommand and return its exit code: 0, 1 for an error, 2 for wrong arguments, 130 if interrupted."""
    try:
        command.main(prog_name="python -m anteojos.team", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not (message := _message(error)):
            raise
        print(message, file=sys.stderr)
        return 1
    return 0


def _message(error: Exception) -> str:
    """Return the message of an error that is not a bug, or "" if the traceback is needed."""
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        return f"{error.filename or 'writing'}: {error.strerror}"
    # DVC takes half a second to import, and raises nothing before it is imported.
    dvc = sys.modules.get("dvc.exceptions")
    return str(error) if isinstance(error, InputError) or (dvc and isinstance(error, dvc.DvcException)) else ""


@click.group()
@click.pass_context
def command(context: click.Context) -> None:
    """Share data, compare branches, check commits, release models."""
    # While a stage runs, its outputs are missing.
    if context.invoked_subcommand in ("check-committed", "compare", "gate"):
        from anteojos.runtime.runner import alone

        context.with_resource(alone(context.invoked_subcommand))


@command.command()
def ready() -> None:
    """Check that `make repro` can run, before DVC removes any output."""
    from anteojos.team import ready as module

    module.check()


@command.command()
@click.option("--quick", is_flag=True, help="Only repair what would stop DVC from starting; read no data.")
def fsck(quick: bool) -> None:
    """Read DVC's cache and the outputs completely, and remove damaged files."""
    from anteojos.team import fsck as module

    module.check(quick)


@command.command()
def record() -> None:
    """Write metrics/environment.json if dvc.lock is new."""
    from anteojos.team import record as module

    module.record()


@command.command()
def reproduced() -> None:
    """Reproduce the last commit in a clone and compare the results."""
    from anteojos.team import reproduced as module

    module.check()


@command.command()
@click.argument("url")
@click.option("--endpoint", default="", help="Address of an S3 store that is not Amazon's.")
def remote(url: str, endpoint: str) -> None:
    """Make URL the default remote, if it can be written and read."""
    from anteojos.team import remote as module

    click.echo(module.set_up(url, endpoint))


@command.command()
def push() -> None:
    """Push the metrics of the run cache, which `dvc push --run-cache` omits."""
    from anteojos.team import push as module

    click.echo(f"{module.push_metrics()} metrics pushed")


@command.command("check-committed")
def check_committed() -> None:
    """Check that the results of the last run are committed and that the data are pushed."""
    from anteojos.team import check_committed as module

    module.check()


@command.command()
@click.argument("base")
def compare(base: str) -> None:
    """Write the differences from the commit BASE to comparison/."""
    from anteojos.team import compare as module

    module.write(base)


@command.command()
@click.argument("base")
def gate(base: str) -> None:
    """Fail if the model is worse than that of the commit BASE, or if the label leaks."""
    from anteojos.team import gate as module

    module.check(base)


@command.command()
def note() -> None:
    """Write the comparison as a note on a GitLab merge request."""
    from anteojos.team import note as module

    module.write()


@command.command()
def resolve() -> None:
    """Resolve a merge conflict in dvc.lock and the metrics."""
    from anteojos.team import resolve as module

    module.resolve()


@command.command()
@click.argument("version")
def release(version: str) -> None:
    """Push the committed model and register it as VERSION, such as v1.0.0."""
    from anteojos.team import release as module

    module.release(version)


@command.command()
def hook() -> None:
    """Install DVC's hook, so that `git checkout` also checks out the data."""
    from anteojos.team import hook as module

    module.install()


if __name__ == "__main__":
    sys.exit(main())
