"""Write the model card from the metrics."""

import json
from pathlib import Path

from anteojos.evaluation import majority, model_card
from anteojos.params import Params
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run


def main() -> None:
    """Run the stage."""
    params = Params.load()
    metrics = {
        name: json.loads(Path("metrics/details", f"{name}.json").read_text(encoding="utf-8"))
        for name in ("verify", "audit", "train", "evaluate")
    }
    text = model_card.write(params.dataset, params.preprocess, params.train.network, params.train.seed, metrics)
    with replacing(Path("models/README.md")) as path:
        path.write_text(text, encoding="utf-8")
    for split, score in metrics["evaluate"].items():
        interval = f"95 % interval {score['accuracy_low']:.3f} to {score['accuracy_high']:.3f}"
        correct = round(score["accuracy"] * score["n"])
        print(
            f"{split}: {correct} of {score['n']} labels are correct, accuracy {score['accuracy']:.3f} ({interval}); "
            f"{majority.compare(score)}"
        )
    print("To label your own images: anteojos predict photo.jpg")


if __name__ == "__main__":
    run(main)
