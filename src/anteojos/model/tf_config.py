"""TF_CONFIG, as TensorFlow's own tools and Kubernetes operators set it: who trains together, and who this is."""

import json
import os
from dataclasses import dataclass

from anteojos.runtime.errors import InputError

_ADVICE = (
    'Expected, for instance, {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}.'
)


@dataclass(frozen=True)
class Task:
    """This process's part in a training on several machines.

    `machines` are the addresses of all, host:port, the chief's first; `number` is this one's place among them.
    """

    machines: tuple[str, ...]
    number: int

    @property
    def is_chief(self) -> bool:
        """Return whether this machine writes the outputs."""
        return self.number == 0


def read() -> Task | None:
    """Read the environment variable TF_CONFIG; None where it is not set, or names one machine alone.

    Raises InputError where it can't be read, has no worker of this number, or names roles that have no part in training
    of this kind.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster = {role: list(map(str, machines)) for role, machines in config.get("cluster", {}).items()}
        role, index = str(config["task"]["type"]), int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG: can't be read ({type(error).__name__}: {error})", advice=_ADVICE) from None
    if others := sorted(set(cluster) - {"chief", "worker"}):
        raise InputError(
            f"TF_CONFIG: the cluster has {', '.join(others)}; expected chief and worker alone",
            advice="Every machine trains; none keeps parameters for others.",
        )
    before = {"chief": 0, "worker": len(cluster.get("chief", []))}
    machines = (*cluster.get("chief", []), *cluster.get("worker", []))
    if not 0 <= index < len(cluster.get(role, [])):
        raise InputError(f"TF_CONFIG: the task is {role} {index}, and the cluster has no such machine", advice=_ADVICE)
    return Task(machines, before[role] + index) if len(machines) > 1 else None
