"""What the results mean: whether to use the model, and what the audit found."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from anteojos.evaluation import majority
from anteojos.params import Params

WIDE = 0.1  # a 95 % interval wider than this is worth more images
OVERFITTED = 0.1  # difference of the accuracies on train and validate
# What each probe of the audit sees.
PROBES = {
    "border": "border of the image",
    "position_rows": "brightness of the left and right border, row by row",
    "position_columns": "brightness of the upper and lower border, column by column",
    "corners": "mean colours of the corners",
    "width": "width of the file (px)",
    "height": "height of the file (px)",
    "bytes": "size of the file (bytes)",
    "quantisation": "format and compression of the file",
}


class Recommendation(NamedTuple):
    """Whether to use the model, why, and what to do."""

    verdict: Literal["good", "bad"]
    headline: str
    notes: list[str]


def recommend(params: Params, metrics: Mapping[str, Any]) -> Recommendation:
    """Recommend whether to use the model, from the results of all stages."""
    evaluate, audit = metrics["evaluate"], metrics["audit"]
    split = "test" if "test" in evaluate else "validate"
    of = evaluate[split]
    notes = list(_notes(params, metrics, split))
    if audit["border"]["verdict"] == "leak":
        return Recommendation(
            "bad",
            "Do not rely on this model: the label can be predicted from the border alone.",
            [
                f"The accuracy from the border alone is {audit['border']['accuracy']:.3f}. Unless the subject fills "
                "the whole image, no accuracy here shows how well the model labels other images.",
                "Look at the section on the leak, and crop the images to their subject"
                + (", for faces with preprocess.crop: face." if params.preprocess.crop == "none" else "."),
                *notes,
            ],
        )
    if not majority.is_better(of):
        return Recommendation(
            "bad",
            f"Do not use this model yet: on {split}, it is {majority.compare(of)}.",
            ["Add training images, or try another train.network or more train.epochs.", *notes],
        )
    return Recommendation(
        "good",
        "You can use this model for images like these: expect "
        f"{of['accuracy_low']:.0%} to {of['accuracy_high']:.0%} of its labels to be correct.",
        [f"On {split}, it is {majority.compare(of)}.", *notes],
    )


def _notes(params: Params, metrics: Mapping[str, Any], split: str) -> list[str]:
    """Return what limits these results."""
    of, last = metrics["evaluate"][split], metrics["train"]["last"]
    warned = sum(metrics["predict"]["warnings"].values())
    notes = {
        "The labels of the test images are not known, so this was measured on the images that the training was "
        "watched with.": split != "test",
        f"{of['n']:,} images show no more than this interval. More of them make it narrower.": of["accuracy_high"]
        - of["accuracy_low"]
        > WIDE,
        "It was trained and measured on drawn faces. Before you use it for photographs, label some of them by hand and "
        "compare.": params.dataset.source == "sample",
        f"It has an accuracy of {last['accuracy']:.3f} on train, but of {last['val_accuracy']:.3f} on validate: it "
        "memorises the training images. Add images, or set train.augment: true.": last["accuracy"]
        - last["val_accuracy"]
        > OVERFITTED,
        f"{warned:,} warnings on test images: do not rely on these labels.": warned > 0,
    }
    return [note for note, applies in notes.items() if applies]


def audit_rows(audit: Mapping[str, Mapping[str, Any]]) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:
    """Return the probes that predict anything with what they see, the best first, and what the others see."""
    named = [(PROBES.get(name, name.replace("_", " ")), probe) for name, probe in audit.items()]
    useful = [(name, probe) for name, probe in named if probe["accuracy"] != probe["chance"]]
    useless = [name for name, probe in named if probe["accuracy"] == probe["chance"]]
    return sorted(useful, key=lambda row: -row[1]["accuracy"]), useless
