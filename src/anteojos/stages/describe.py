"""Write the model card from the metrics."""

import json
from pathlib import Path

from anteojos import model_card
from anteojos.outputs import replacing
from anteojos.params import Params
from anteojos.stages import run


def main() -> None:
    """Run the stage."""
    params = Params.load()
    metrics = {
        name: json.loads(Path("metrics", f"{name}.json").read_text(encoding="utf-8"))
        for name in ("verify", "audit", "train", "evaluate")
    }
    text = model_card.write(params.dataset, params.preprocess, params.train.network, params.train.seed, metrics)
    with replacing(Path("models/README.md")) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
