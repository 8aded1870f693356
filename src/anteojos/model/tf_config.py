"""TF_CONFIG, the environment variable that names the machines that train together, as TensorFlow defines it."""

import json
import os
from dataclasses import dataclass

from anteojos.runtime.errors import InputError

_ADVICE = (
    'Expected, for instance, {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}.'
)


@dataclass(frozen=True)
class Task:
    """The role of this machine in a training on several machines.

    `machines` are the addresses of all machines, host:port, the chief first; `number` is the index of this machine.
    """

    machines: tuple[str, ...]
    number: int

    @property
    def is_chief(self) -> bool:
        """Whether this machine writes the outputs."""
        return self.number == 0


def read() -> Task | None:
    """Read TF_CONFIG; return None if it is not set or names only one machine.

    Raises InputError if it cannot be parsed, does not list this machine, or has other roles than chief and worker.
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
            f"TF_CONFIG: the cluster has {', '.join(others)}; expected only chief and worker",
            advice="Parameter servers and evaluators are not supported.",
        )
    first_of_role = {"chief": 0, "worker": len(cluster.get("chief", []))}
    machines = (*cluster.get("chief", []), *cluster.get("worker", []))
    if not 0 <= index < len(cluster.get(role, [])):
        raise InputError(f"TF_CONFIG: the task is {role} {index}, but the cluster has no such machine", advice=_ADVICE)
    return Task(machines, first_of_role[role] + index) if len(machines) > 1 else None
