"""Write the model card from the metrics."""

import json
from pathlib import Path

from anteojos.evaluation import model_card
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


if __name__ == "__main__":
    run(main)
