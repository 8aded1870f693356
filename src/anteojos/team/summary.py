"""The last lines of `make repro`: how good the model is, what ran, and what to do next."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from anteojos.evaluation import majority
from anteojos.runtime import durations, environment
from anteojos.team.commands import checksums, default_remote, git, leaves, read_lock, succeeds
from anteojos.team.metrics import AUDIT, EVALUATE, read, read_at
from anteojos.team.record import MADE_ON

LOCK = Path("dvc.lock")
OF_THE_CPU = ("system", "processor", "instructions")


def write(started: float, everything: bool) -> str:
    """Return the summary of a run that started at this time, in seconds since 1970.

    Unless `everything` was to run, metrics may be older than what has run, and are not shown.
    """
    lines = ["", *(scores() if everything else ()), stages(started), *compared()]
    if everything:
        lines += [
            "files: images in metrics/plots/, model and model card in models/, test labels in data/predictions.csv",
            "next: `make report` writes all results to one page; `anteojos predict photo.jpg` labels your own images",
        ]
        if default_remote():
            lines.append("      `make push` shares data and models, after the commit")
    return "\n".join(lines)


def scores() -> Iterator[str]:
    """Yield a line for the accuracy on each split, and one for the audit."""
    for split, score in read(EVALUATE).items():
        interval = f"95 % interval {score['accuracy_low']:.3f} to {score['accuracy_high']:.3f}"
        correct = round(score["accuracy"] * score["n"])
        yield (
            f"{split}: {correct} of {score['n']} labels are correct, accuracy {score['accuracy']:.3f} ({interval}); "
            f"{majority.compare(score)}"
        )
    border = read(AUDIT)["border"]
    leak = border["verdict"] == "leak"
    yield (
        f"audit: the border of the images alone {'leaks' if leak else 'does not leak'} the label "
        f"(accuracy {border['accuracy']:.3f})" + ("; see metrics/plots/leak.png" if leak else "")
    )


def stages(started: float) -> str:
    """Return which stages ran since this time, and how long they took."""
    ran = [stage for stage in durations.read() if stage.ended >= started]
    if not ran:
        return "stages: none had to run; their outputs are up to date or came from the cache"
    total = as_minutes(sum(stage.seconds for stage in ran))
    return f"stages: {', '.join(f'{stage.stage} {stage.seconds:.0f} s' for stage in ran)}; {total} in all"


def as_minutes(seconds: float) -> str:
    """Return a duration as text, such as 2 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def compared() -> list[str]:
    """Return whether the results differ from those of the last commit, why, and what to do; [] if it has none."""
    if not succeeds("git", "cat-file", "-e", f"HEAD:./{LOCK}"):
        return []
    committed = yaml.safe_load(git("show", f"HEAD:./{LOCK}"))["stages"]
    return explain(committed, read_lock(LOCK), read_at(MADE_ON, "HEAD") or {}, environment.describe())


def explain(
    before: Mapping[str, Any], now: Mapping[str, Any], there: Mapping[str, str], here: Mapping[str, str]
) -> list[str]:
    """Return how the results in two versions of dvc.lock differ, why, and what to do.

    `there` and `here` are the environments in which they were computed.
    """
    old, new = checksums(before), checksums(now)
    differ = [path for path in old.keys() | new.keys() if old.get(path) != new.get(path)]
    if not differ:
        return ["results: the same as in the last commit, to the byte"]
    found = f"results: {len(differ)} of {len(new)} outputs differ from the last commit"
    if changes := changed_inputs(before, now):
        return [
            f"{found}, because of changes in {', '.join(changes)}.",
            "      This is expected. To keep the results, commit all changes.",
        ]
    if changes := [
        f"{name} {there.get(name)}, here {value}" for name, value in here.items() if there.get(name) != value
    ]:
        cpu = any(there.get(name) != here.get(name) for name in OF_THE_CPU)
        return [
            f"{found}, which was computed {'on another kind of CPU' if cpu else 'with other versions'} "
            f"({'; '.join(changes)}).",
            "      Different last digits are expected; `make check-reproduced` measures how much differs. "
            "To keep the committed results: git restore dvc.lock metrics",
        ]
    return [
        f"{found}, although code, parameters, versions and kind of CPU are the same.",
        "      This is not expected: `make check-reproduced` shows what differs. Please report it.",
    ]


def changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the parameters and the files that stages depend on and that differ, but not the outputs of stages."""
    sides = [inputs(lock) for lock in (before, now)]
    changed = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
    more = len(changed) - 4
    return [*changed[:4], f"{more} more"] if more > 1 else changed


def inputs(lock: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter and the checksum of each file that stages depend on and do not write."""
    outputs, found = checksums(lock), {}
    for name, stage in lock.items():
        found[f"the command of {name}"] = stage.get("cmd")
        found |= {dep["path"]: dep.get("md5") for dep in stage.get("deps", ()) if dep["path"] not in outputs}
        for params in stage.get("params", {}).values():
            found |= dict(leaves(params))
    # The images of a source outside of the repository are no dependency: only their copy shows that they have changed.
    if found.get("dataset.source") not in (None, "sample"):
        found["the source of the images"] = outputs.get("data/raw")
    return found
