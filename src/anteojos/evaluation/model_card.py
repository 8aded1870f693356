"""The model card in Markdown: what the model was made from, how good it is and where not to rely on it.

Its headings follow M. Mitchell et al., "Model Cards for Model Reporting", 2019, where the pipeline has the data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from anteojos.evaluation import majority
from anteojos.images.detector_models import NOTICE
from anteojos.params import Dataset, Preprocess
from anteojos.vocabulary import SPLITS, Network

Metrics = Mapping[str, Any]


def write(dataset: Dataset, preprocess: Preprocess, network: Network, seed: int, metrics: Mapping[str, Metrics]) -> str:
    """Return the model card.

    `metrics` has the contents of metrics/details/<name>.json of verify, audit, train and evaluate.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(),  # HTML only: the card is Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    verify = metrics["verify"]
    columns = dict(zip(dataset.labels, dataset.names, strict=True))
    # `verify` counts images without a label under another name.
    columns |= {label: label for split in SPLITS for label in verify[split] if label not in columns}
    return environment.get_template("model_card.md.j2").render(
        **metrics,
        names=dataset.names,
        first_label=dataset.labels[0],
        source_kind=dataset.source,
        source=_source(dataset),
        license=dataset.license,
        size=preprocess.size,
        crop=preprocess.crop,
        network=network,
        seed=seed,
        notice=NOTICE,
        splits=SPLITS,
        columns=columns,
        leaks=[name for name, probe in metrics["audit"].items() if probe["verdict"] == "leak"],
        compared={split: majority.compare(score) for split, score in metrics["evaluate"].items()},
        number=lambda value: "–" if value is None else f"{value:.3f}",
    )


def _source(dataset: Dataset) -> str:
    match dataset.source:
        case "sample":
            return f"faces drawn by anteojos from seed {dataset.seed}; no image shows a real person"
        case "kaggle":
            return f"Kaggle, {dataset.kaggle}"
        case "archive":
            return "an archive of the team" + (f", SHA-256 {dataset.sha256}" if dataset.sha256 else "")
