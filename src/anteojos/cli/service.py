"""The command `serve`."""

import os
from pathlib import Path

import click

from anteojos.cli.options import model_option, needs
from anteojos.runtime import threads


@click.command(
    short_help="Answer HTTP requests, and show a page to try the model.",
    epilog="""\b
Examples:
  anteojos serve
  anteojos serve --model release/v1.0.0/model.tflite --port 80
  ANTEOJOS_TOKEN=$(openssl rand -hex 16) anteojos serve --host 0.0.0.0

SIGTERM and Ctrl-C end it after the running requests.""",
)
@model_option
@click.option("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 for all networks, with a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen at; 0 for any free one.")
@click.option("--insecure", is_flag=True, help="Let other machines use it without a token.")
@click.option("--max-bytes", type=click.IntRange(1), default=20_000_000, help="Most bytes of a request.")
@click.option("--max-pixels", type=click.IntRange(1), default=50_000_000, help="Most pixels of an image.")
@click.option("--max-images", type=click.IntRange(1), default=16, help="Most images of a request.")
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=lambda: 2 * threads.cores(),
    show_default="2 per core",
    help="Most requests that are labelled, or wait for it, at the same time.",
)
@click.option(
    "--timeout", type=click.FloatRange(0.1), default=30, help="Seconds for the head of a request, and for its body."
)
@needs("serve")
def serve(
    model: Path,
    host: str,
    port: int,
    insecure: bool,
    max_bytes: int,
    max_pixels: int,
    max_images: int,
    max_requests: int,
    timeout: float,
) -> None:
    """Label images that are sent over HTTP, and show a page on which people can try it.

    It listens only on this machine by default. For other machines, set a token in ANTEOJOS_TOKEN, which clients send as
    `Authorization: Bearer TOKEN`. If the file of the model is replaced, the new one is used. Images are never written
    to a disk or to the log.
    """
    from anteojos.serve.server import run
    from anteojos.serve.settings import TOKEN, Limits, Settings

    limits = Limits(
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        max_images=max_images,
        max_requests=max_requests,
        timeout=timeout,
    )
    token = os.environ.get(TOKEN, "")
    run(Settings(model=model, host=host, port=port, token=token, insecure=insecure, limits=limits))
