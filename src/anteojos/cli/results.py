"""The command `report`."""

from contextlib import chdir
from pathlib import Path

import click

from anteojos.cli.options import needs, of_checkout
from anteojos.runtime import checkout


@click.command(
    short_help="Write the results of the pipeline as one HTML page.",
    epilog="""\b
Examples:
  anteojos report
  anteojos report --against main --output review.html""",
)
@of_checkout("report.html", "-o", "--output", meaning="File to write.")
@click.option("--against", metavar="REVISION", help="A branch, tag or commit to compare parameters and metrics with.")
@needs("pipeline")
def report(output: Path, against: str | None) -> None:
    """Write the results of the pipeline in this checkout as one HTML page that you can send to others."""
    # The only subcommand that needs a checkout, and so the only one that imports `team`.
    from anteojos.team import report as page

    target = output.absolute()
    with chdir(checkout.find(Path.cwd()) or Path()):
        page.write(target, against)
    click.echo(f"Wrote {output}.")
