"""Names of checkpoints, a different one for each training."""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from anteojos.model.recipes import Recipe
from anteojos.params import Train
from anteojos.runtime import environment


def key(folders: Iterable[Path], params: Train, recipe: Recipe) -> str:
    """Return a name, 64 hex digits, for the training with these images, parameters, code and versions.

    Resuming from the checkpoint of another training would give weights that cannot be reproduced.
    """
    settings = {
        "network": params.network,
        "seed": params.seed,
        "recipe": asdict(recipe),
        "environment": environment.describe(),
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    # If DVC runs the stage, the name of its module is `__main__`.
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in ("anteojos", "__main__")]
    code = sorted(Path(file) for module in modules if (file := getattr(module, "__file__", None)))
    for file in (*code, *(folder / name for folder in folders for name in ("images.npy", "index.csv"))):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
