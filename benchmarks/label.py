"""Time the labelling of one image in a new process, compared with TensorFlow, and of many images.

`python benchmarks/label.py` uses the untrained networks `baseline` and `edge`, which are as fast as trained ones, and
writes the table in benchmarks/README.md. `--images 10000` sets the number of images, `--rounds` the number of rounds.
"""

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import many
import measure
from anteojos.images.detector_models import installed
from anteojos.model.classifier import Classifier
from anteojos.model.metadata import Metadata
from anteojos.model.recipes import RECIPES
from anteojos.model.statistics import TrainingRanges
from anteojos.params import Params
from anteojos.vocabulary import Crop, Network
from measure import Cost, in_turns, median, run, table
from readme import BENCHMARKS, record, write_part

SIZE = 160
CROPS: dict[str, Crop] = {"baseline": "none", "edge": "face"}
WARM = 200  # images labelled in one process, after the first

# The same without anteojos: TensorFlow, the Keras model, one image.
TENSORFLOW = """
import sys
import keras, numpy
network = keras.saving.load_model(sys.argv[1])
image = keras.utils.img_to_array(keras.utils.load_img(sys.argv[2], target_size=(160, 160)))
print(network.predict(image[numpy.newaxis], verbose=0)[0, 0])
"""
PYTHON = """
import sys
from pathlib import Path
from anteojos.model.classifier import Classifier
print(Classifier.load(Path(sys.argv[1]))(Path(sys.argv[2])))
"""
NAMES = {
    "command": "`anteojos predict photo.jpg`",
    "python": "`Classifier.load(path)(image)`",
    "tensorflow": "TensorFlow: import, load, predict",
}


def main() -> None:
    """Build the networks, write the images, measure, and write the tables."""
    options = measure.options(__doc__, images=10_000, rounds=5)
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Import TensorFlow in another process, because labelling is measured without it.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            for network in ("baseline", "edge"):
                other.submit(build, network, folder).result()
        many.make(folder / "project", options.images)
        raw = folder / "project/data/raw"
        photo = min(raw.rglob("*.jpg"))
        parts = [cold(folder, photo, options.rounds), warm(folder, raw, photo, cores, options.rounds)]
    write_part("label", "python benchmarks/label.py", "\n\n".join(parts), page=BENCHMARKS)


def build(name: Network, folder: Path) -> None:
    """Write an untrained network to `folder`/<name>.keras and <name>.tflite, as the stage `train` does."""
    from anteojos.model import networks, training

    recipe = RECIPES[name]
    network = networks.build(name, SIZE, recipe.rescale)
    trained = networks.averaged(network, recipe.mirrored)
    training.save_keras(trained, folder / f"{name}.keras")
    params = Params.load()
    dataset, threshold, uncertain = params.dataset, params.predict.threshold, params.predict.uncertain
    ranges = TrainingRanges((SIZE, SIZE), (155, 156), (1.0, 1.04), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0))
    training.save_tflite(trained, folder / f"{name}.tflite")
    crop, models = CROPS[name], installed() if CROPS[name] == "face" else {}
    metadata = Metadata(
        labels=dataset.labels,
        names=dataset.names,
        crop=crop,
        threshold=threshold,
        uncertain=uncertain,
        ranges=ranges,
        detector=models,
    )
    metadata.attach(folder / f"{name}.tflite")


def cold(folder: Path, photo: Path, rounds: int) -> str:
    """Return the table of one image in a new process."""
    model = folder / "edge.tflite"
    commands = {
        "command": [sys.executable, "-m", "anteojos", "predict", "--model", model, photo],
        "python": [sys.executable, "-c", PYTHON, model, photo],
        "tensorflow": [sys.executable, "-c", TENSORFLOW, folder / "edge.keras", photo],
    }
    jobs = {way: partial(run, command) for way, command in commands.items()}
    found = {way: median(costs) for way, costs in in_turns(jobs, rounds).items()}
    theirs = found["tensorflow"]
    rows = [
        [
            words,
            f"{found[way].seconds:.2f}",
            f"{theirs.seconds / found[way].seconds:.1f}",
            f"{found[way].mebibytes:.0f}",
            f"{theirs.mebibytes / found[way].mebibytes:.1f}",
        ]
        for way, words in NAMES.items()
    ]
    rows.append(["goal, at most", "0.80", "", "200", ""])
    head = ["one image, in a new process", "s", "times as fast", "MiB", "times less memory"]
    return f"{table(head, rows)}\n\nWith the network `edge`. `anteojos` also finds the face. Median of {rounds} rounds."


def warm(folder: Path, raw: Path, photo: Path, cores: list[int], rounds: int) -> str:
    """Return the table of many images: one by one in one process, and a folder."""
    count = len(list(raw.rglob("*.jpg")))
    on_cores = ["taskset", "--cpu-list", ",".join(map(str, cores)), sys.executable]
    jobs = {}
    for network in ("baseline", "edge"):
        model = folder / f"{network}.tflite"
        command = [*on_cores, "-m", "anteojos", "predict", "--model", model]
        jobs[network, "one by one"] = partial(one_by_one, model, photo)
        jobs[network, "one"] = partial(run, [*command, photo])
        jobs[network, "folder"] = partial(run, [*command, raw])
    found: dict[tuple[str, str], list[Cost]] = in_turns(jobs, rounds)
    rows = []
    for network, goals in (("baseline", ("3", "")), ("edge", ("", "300"))):
        folders, alone = (median(found[network, way]) for way in ("folder", "one"))
        if network == "baseline":  # the slower of the two
            record("label", {"label_per_second": count / folders.seconds})
        milliseconds = 1000 * statistics.median(cost.seconds for cost in found[network, "one by one"]) / WARM
        rows.append(
            [
                f"`{network}`",
                f"{milliseconds:.2f}",
                f"{1000 * (folders.seconds - alone.seconds) / max(1, count - 1):.2f}",
                goals[0],
                f"{count / folders.seconds:,.0f}",
                goals[1],
                f"{folders.mebibytes:.0f}",
            ]
        )
    head = [
        "network",
        "one after the other, ms",
        f"each further image of a folder, {len(cores)} cores, ms",
        "goal, at most",
        "a folder, images/s",
        "goal, at least",
        "MiB",
    ]
    caption = (
        f"The time includes decoding. One after the other: `classifier(data)`, {WARM} times in one thread. A folder: "
        f"`anteojos predict FOLDER` with {count:,} images of 160 px, from the start of the process to its end; the "
        f"memory is that of all its processes. Median of {rounds} rounds."
    )
    return f"{table(head, rows)}\n\n{caption}"


def one_by_one(model: Path, photo: Path) -> Cost:
    """Label an image many times. Return the cost."""
    classifier = Classifier.load(model)
    data = photo.read_bytes()
    classifier(data)
    start = time.perf_counter()
    for _ in range(WARM):
        classifier(data)
    return Cost(time.perf_counter() - start, 0)


if __name__ == "__main__":
    main()
