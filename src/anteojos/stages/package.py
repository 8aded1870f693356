"""Write the model for inference: the network with its metadata attached."""

import json
import shutil
from pathlib import Path

from anteojos.images import detector_models
from anteojos.model.metadata import Metadata
from anteojos.model.statistics import TrainingRanges
from anteojos.params import Params
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run


def main() -> None:
    """Run the stage."""
    params = Params.load()
    crop = params.preprocess.crop
    statistics = json.loads(Path("models/training_statistics.json").read_text(encoding="utf-8"))
    metadata = Metadata(
        labels=params.dataset.labels,
        names=params.dataset.names,
        crop=crop,
        threshold=params.predict.threshold,
        uncertain=params.predict.uncertain,
        ranges=TrainingRanges.from_json(statistics["ranges"]),
        samples=statistics["samples"],
        detector=detector_models.installed() if crop == "face" else {},
        notice=detector_models.NOTICE if crop == "face" else "",
    )
    with replacing(Path("models/model.tflite")) as path:
        shutil.copyfile("models/network.tflite", path)
        metadata.attach(path)


if __name__ == "__main__":
    run(main)
