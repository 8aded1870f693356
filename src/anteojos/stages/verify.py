"""Check that data/raw is what params.yaml expects, and list its pictures in data/manifest.csv."""

import sys
from pathlib import Path

from anteojos import checks, manifest
from anteojos.errors import InputError
from anteojos.outputs import replacing, write_json
from anteojos.params import SPLITS, TEST_LABELS, Params
from anteojos.stages import run

RAW = Path("data/raw")
MOST_SHOWN = 20  # warnings of a kind
ADVICE = {
    False: "Fix the source or change dataset.expected, then run `dvc repro` again.",
    # DVC does not watch what lies outside of the repository.
    True: "Fix the source and run `dvc repro --force fetch`, or change dataset.expected; then run `dvc repro` again.",
}


def main() -> None:
    """Run the stage."""
    dataset = Params.load().dataset
    findings = checks.Findings()
    found = checks.find_pictures(RAW, dataset.labels, findings)
    test_labels = RAW / TEST_LABELS
    if test_labels.exists():
        found = checks.add_test_labels(found, test_labels, dataset.labels, findings)
    table = checks.examine(RAW, found, findings)
    checks.compare(table, found, dataset, findings)

    for kind, lines in findings.warnings.items():
        for line in lines[:MOST_SHOWN]:
            print(f"warning ({kind}): {line}", file=sys.stderr)
        if len(lines) > MOST_SHOWN:
            print(f"warning ({kind}): and {len(lines) - MOST_SHOWN:,} more", file=sys.stderr)
    if findings.problems:
        raise InputError(
            f"{RAW} does not match params.yaml",
            findings.problems,
            ADVICE[dataset.source == "archive"],
        )
    counts = checks.counts(found, dataset)
    with replacing(Path("data/manifest.csv")) as path:
        manifest.write(table, path)
    write_json(
        Path("metrics/verify.json"),
        {
            "pictures": len(found),
            **{split: counts[split] for split in SPLITS},
            "test_balance": checks.NOT_KNOWN if checks.NOT_KNOWN in counts["test"] else "known",
            "warnings": {kind: len(lines) for kind, lines in findings.warnings.items()},
        },
    )


if __name__ == "__main__":
    run(main)
