"""Measure `anteojos serve` with clients on this machine: speed, answers under too much load, memory.

`python benchmarks/serve.py` uses models/model.tflite and drawn faces, and writes the table in benchmarks/README.md.
`--images 400` sets the number of different images, `--rounds` the number of rounds, `--seconds` the duration of too
much load, and `--requests 20000` the number of requests while the memory is watched.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import measure
from anteojos.labelling import inference
from anteojos.model.classifier import Classifier
from anteojos.runtime import threads
from anteojos.runtime.checkout import MODEL
from anteojos.sources.drawing import draw_face
from measure import MIB, in_turns, memory, table
from readme import BENCHMARKS, write_part

OPTIONS = inference.Options(threshold=None, uncertain=None, whole=False, annotate=False)
TOGETHER = 16  # images of a request
PAUSE = 0.1  # s, after a 503
SAMPLES = 20  # of the memory


@dataclass(frozen=True)
class Answer:
    """Status and duration, in seconds, of a request."""

    status: int
    seconds: float


def main() -> None:
    """Draw images, measure, and write the table."""
    options = measure.options(__doc__, images=400, requests=20_000, rounds=3, seconds=20)
    cores = threads.cores()
    with tempfile.TemporaryDirectory() as name:
        files = draw(Path(name), options.images)
        direct = partial(directly, files, Classifier.load(MODEL))
        with serving() as (process, port):
            one = [request("image/jpeg", file.read_bytes()) for file in files]
            several = [form(files[start : start + TOGETHER]) for start in range(0, len(files), TOGETHER)]
            jobs: dict[str, Callable[[], float]] = {
                "direct": direct,
                "one": partial(rate, port, one, 2 * cores, len(files)),
                "several": partial(rate, port, several, cores, len(files)),
            }
            found = {way: statistics.median(rates) for way, rates in in_turns(jobs, options.rounds).items()}
            clients = 10 * 2 * cores
            loaded = asyncio.run(overload(port, one, clients, options.seconds))
            first, last = memory_over(process, port, one, options.requests)
    write_part("serve", "python benchmarks/serve.py", rows(found, loaded, clients, first, last, options), BENCHMARKS)


def draw(folder: Path, count: int) -> list[Path]:
    """Draw faces as JPEG files of 160 px."""
    files = [folder / f"{number}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        draw_face(np.random.default_rng(number), glasses=number % 2 == 0, size=160).save(file, quality=92)
    return files


@contextmanager
def serving() -> Iterator[tuple[psutil.Process, int]]:
    """Start the service; yield its process and port."""
    command = [sys.executable, "-m", "anteojos", "serve", "--model", MODEL, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = re.search(r":(\d+)/$", process.stdout.readline().strip())
        assert address is not None
        try:
            yield psutil.Process(process.pid), int(address[1])
        finally:
            process.terminate()


def directly(files: Sequence[Path], classifier: Classifier) -> float:
    """Label the files with the library, on all cores. Return images per second."""
    start = time.perf_counter()
    labelled = list(inference.label(files, classifier, OPTIONS, progress=False))
    assert not any(each.error for each in labelled)
    return len(files) / (time.perf_counter() - start)


def request(kind: str, body: bytes) -> bytes:
    """Return the bytes of a request. They are prepared, so that the clients take little of the processor."""
    head = f"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def form(files: Sequence[Path]) -> bytes:
    """Return the bytes of a request with several images."""
    head = '--b\r\nContent-Disposition: form-data; name="image"; filename="{}"\r\n\r\n'
    parts = [head.format(file.name).encode() + file.read_bytes() + b"\r\n" for file in files]
    return request("multipart/form-data; boundary=b", b"".join([*parts, b"--b--\r\n"]))


async def client(port: int, requests: Iterator[bytes], until: float = float("inf")) -> list[Answer]:
    """Send requests one after the other over one connection, until there are no more or the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for data in requests:
        start = time.perf_counter()
        if start > until:
            break
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        answers.append(Answer(int(head.split(maxsplit=2)[1]), time.perf_counter() - start))
        if answers[-1].status == 503:
            await asyncio.sleep(PAUSE)
    writer.close()
    return answers


async def all_of(clients: Sequence[Coroutine[Any, Any, list[Answer]]]) -> list[Answer]:
    """Run clients at the same time. Return all their answers."""
    return [answer for answers in await asyncio.gather(*clients) for answer in answers]


def rate(port: int, requests: Sequence[bytes], clients: int, images: int) -> float:
    """Send each request once, from `clients` at the same time. Return images per second."""
    shared = iter(requests)
    start = time.perf_counter()
    answers = asyncio.run(all_of([client(port, shared) for _ in range(clients)]))
    assert {answer.status for answer in answers} == {200}
    return images / (time.perf_counter() - start)


async def overload(port: int, requests: Sequence[bytes], clients: int, seconds: int) -> list[Answer]:
    """Send requests from too many clients. Return the answers."""
    until = time.perf_counter() + seconds
    return await all_of([client(port, cycle(requests), until) for _ in range(clients)])


def memory_over(process: psutil.Process, port: int, requests: Sequence[bytes], count: int) -> tuple[float, float]:
    """Send `count` requests; return the memory, in MiB, after the first twentieth of them and at the end."""
    used = []
    for _ in range(SAMPLES):
        some = cycle(requests)
        rate(port, [next(some) for _ in range(count // SAMPLES)], 2, count // SAMPLES)
        used.append(memory(process) / MIB)
        print(f"memory: {used[-1]:.0f} MiB", file=sys.stderr, flush=True)
    return used[0], used[-1]


def rows(
    found: dict[str, float], loaded: Sequence[Answer], clients: int, first: float, last: float, options: Any
) -> str:
    """Return the table."""
    accepted = sorted(answer.seconds for answer in loaded if answer.status == 200)
    others = {answer.status for answer in loaded} - {200}
    refused = [answer.seconds for answer in loaded if answer.status == 503]
    worst = accepted[int(0.99 * (len(accepted) - 1))]
    direct, goal = found["direct"], f"{0.8 * found['direct']:,.0f} or more"
    lines = [
        ["images/s, direct library calls", f"{direct:,.0f}", ""],
        ["images/s, service, one image per request", f"{found['one']:,.0f}", goal],
        [
            f"images/s, service, {TOGETHER} images per request",
            f"{found['several']:,.0f}",
            goal,
        ],
        [f"{clients} clients: accepted, 99th percentile, s", f"{worst:.2f}", "1 or less"],
        [f"{clients} clients: accepted, per s", f"{len(accepted) / options.seconds:,.0f}", ""],
        [f"{clients} clients: 503, share", f"{len(refused) / len(loaded):.2f}", ""],
        [f"{clients} clients: other answers", f"{', '.join(map(str, sorted(others - {503}))) or 'none'}", "none"],
        [f"memory after {options.requests // SAMPLES:,} requests, MiB", f"{first:.0f}", ""],
        [
            f"memory after {options.requests:,} requests, MiB",
            f"{last:.0f}",
            f"{0.9 * first:.0f} to {1.1 * first:.0f}",
        ],
    ]
    caption = (
        f"{options.images:,} drawn faces of 160 px, {len(os.sched_getaffinity(0))} cores, which the clients use too. "
        f"Direct: `labelling.inference.label`, one process per core. Speeds: median of {options.rounds} rounds. A "
        f"client waits {PAUSE} s after a 503. The memory is that of all processes of the service."
    )
    return f"{table(['`anteojos serve`', 'measured', 'goal'], lines)}\n\n{caption}"


if __name__ == "__main__":
    main()
