"""Check that data/raw is what params.yaml expects, and list its images in data/manifest.csv."""

import sys
from pathlib import Path

import pandas as pd

from anteojos.images import checks, manifest
from anteojos.params import Dataset, Params, Preprocess
from anteojos.runtime.errors import InputError, capped
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import NOT_KNOWN, SPLITS, TEST_LABELS

RAW = Path("data/raw")


def main() -> None:
    """Run the stage."""
    params = Params.load()
    dataset, preprocess = params.dataset, params.preprocess
    findings = checks.Findings()
    found = checks.find_images(RAW, dataset.labels, findings)
    test_labels = RAW / TEST_LABELS
    if test_labels.exists():
        found = checks.add_test_labels(found, test_labels, dataset.labels, findings)
    table = checks.examine(RAW, found, preprocess.crop, findings)
    table, found = checks.split(table, found, dataset, findings)
    checks.compare(table, found, dataset, preprocess, findings)
    print_warnings(findings.warnings)
    if findings.problems:
        advice = findings.advice + advice_on_faces(table, preprocess) + advice_on_source(dataset)
        raise InputError(f"{RAW} does not match params.yaml", findings.problems, advice)

    counts = checks.counts(found, dataset)
    with replacing(Path("data/manifest.csv")) as path:
        manifest.write(table, path)
    write_json(
        Path("metrics/details/verify.json"),
        {
            "images": len(found),
            **{split: counts[split] for split in SPLITS},
            "test_balance": NOT_KNOWN if NOT_KNOWN in counts["test"] else "known",
            "warnings": {kind: len(lines) for kind, lines in findings.warnings.items()},
        },
    )


def print_warnings(warnings: dict[str, list[str]]) -> None:
    """Print the first warnings of each kind, and how many more there are."""
    for kind, lines in warnings.items():
        for line in capped(lines):
            print(f"warning ({kind}): {line}", file=sys.stderr)


def advice_on_faces(table: pd.DataFrame, preprocess: Preprocess) -> str:
    """Return what to do about images without a face, or "" if they do not stop the pipeline."""
    share = (table["faces"] == 0).mean() if preprocess.crop == "face" and preprocess.no_face == "fail" else 0
    if share > 0.5:
        return "Most images show no face: if they are not meant to, set preprocess.crop: none in params.yaml. "
    if share > 0:
        return "To use images without a face as a whole, set preprocess.no_face: whole in params.yaml. "
    return ""


def advice_on_source(dataset: Dataset) -> str:
    """Return how to correct the images and run the pipeline again."""
    again = "then run `dvc repro` again."
    if dataset.source == "archive":
        # DVC does not notice if an archive outside of the repository has changed.
        fix = "Fix the source and run `dvc repro --force fetch`"
        return f"{fix}, or change dataset.expected; {again}" if dataset.expected else f"{fix}, {again}"
    return f"Fix the source or change dataset.expected, {again}" if dataset.expected else f"Fix the source, {again}"


if __name__ == "__main__":
    run(main)
