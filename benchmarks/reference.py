"""Write the tables of docs/reference from the code: parameters, metrics, outputs and the command.

`make reference` calls it. The text around the tables is written by hand.
"""

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import TypeAdapter

from anteojos.cli import command
from anteojos.params import Params
from measure import table
from readme import with_part

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs/reference"
COMMAND = "make reference"
# Values that JSON schema describes at length.
VALUES = {
    "dataset.classes": "two of folder and name",
    "dataset.expected": "integer from 0, by split and class, or empty",
    "dataset.ignored": "list of folder names",
    "dataset.sha256": "64 hex digits or empty",
    "dataset.split": "two numbers from 0 to 1 and an integer, or empty",
    "predict.uncertain": "two numbers from 0 to 1, rising",
}
DEFAULTS = {
    "dataset.classes": "glasses, noglasses",
    "dataset.expected": "52, 20 and 10 of each",
    "dataset.split": "`{validate: 0.2, test: 0.1, seed: 2024}`",
}
PLACEHOLDERS = {
    "<split>": "(train|validate|test)",
    "<class>": "(glasses|noglasses)",
    "<probe>": r"(border|position_\w+|corners|width|height|bytes|quantisation)",
    "<epoch>": "(last|best)",
    "<kind>": r"\w+",
    "<compared>": "(n|accuracy|accuracy_low|accuracy_high|majority_accuracy|balanced_accuracy|loss|roc_auc)",
}


def main() -> None:
    """Write the pages. Exits with a message if a metric or an output is not described."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


def pages(run: Path = ROOT) -> dict[Path, str]:
    """Return the up-to-date text of each page; the metrics are those of the checkout `run`."""
    parts = {
        "params.md": {section: parameters(section) for section in defaults()},
        "metrics.md": metrics(run),
        "files.md": {"stages": outputs()},
        "command.md": {
            "commands": commands(),
            "exit codes": exit_codes(),
            **{name: usage(name, each) for name, each in command.commands.items()},
        },
    }
    texts = {}
    for name, of_page in parts.items():
        text = (REFERENCE / name).read_text(encoding="utf-8")
        for part, content in of_page.items():
            text = with_part(text, part, COMMAND, content)
        texts[REFERENCE / name] = text
    return texts


def parameters(section: str) -> str:
    """Return the table of the parameters of a section of params.yaml."""
    meanings = comments((ROOT / "params.yaml").read_text(encoding="utf-8"))
    rows = []
    for key, default in defaults()[section].items():
        name = f"{section}.{key}"
        readers = [stage for stage, of_stage in stages().items() if name in of_stage.get("params", ())]
        shown = json.dumps(default) if isinstance(default, list) else default
        default_cell = DEFAULTS.get(name) or ("empty" if default is None else f"`{shown}`")
        meaning, _ = meanings[name]
        rows.append(
            [f"`{name}`", values(section, key), default_cell, ", ".join(readers) or "train, not tracked", meaning]
        )
    return _table(["parameter", "values", "default", "read by", "meaning"], rows)


def comments(text: str) -> dict[str, tuple[str, str]]:
    """Return the comments above and behind each key of params.yaml, by full name."""
    found: dict[str, tuple[str, str]] = {}
    section, above = "", []
    for line in text.splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            section = match[1]
        elif match := re.fullmatch(r"  # (.*)", line):
            above.append(match[1])
        elif match := re.fullmatch(r"  (\w+):.*?(?: # (.*))?", line):
            found[f"{section}.{match[1]}"] = " ".join(above), match[2] or ""
            above = []
    return found


def values(section: str, key: str) -> str:
    """Return the values that a parameter may have, from the JSON schema of its dataclass."""
    if f"{section}.{key}" in VALUES:
        return VALUES[f"{section}.{key}"]
    schema = TypeAdapter(Params).json_schema()
    kind = schema["properties"][section]["$ref"].rpartition("/")[2]
    return _values(schema["$defs"][kind]["properties"][key])


def _values(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join("empty" if option.get("type") == "null" else _values(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if schema["type"] == "boolean":
        return "true | false"
    parts = [{"string": "text"}.get(schema["type"], schema["type"])]
    for name, word in (("exclusiveMinimum", "above"), ("minimum", "from"), ("maximum", "to")):
        if name in schema:
            parts.append(f"{word} {schema[name]:,}")
    return " ".join(parts)


def metrics(run: Path) -> dict[str, str]:
    """Return the table of each metrics file. Exits if a key of the run has no description, or the reverse."""
    parts = {}
    for name, described in _descriptions()["metrics"].items():
        # The history is in DVC's cache, so a fresh clone does not have it.
        if (run / name).exists():
            keys = list(keys_of(json.loads((run / name).read_text(encoding="utf-8"))))
            matched = {row: [key for key in keys if re.fullmatch(_pattern(row), key)] for row in described}
            unknown = set(keys).difference(*matched.values())
            unused = [row for row, of_row in matched.items() if not of_row]
            if unknown or unused:
                sys.exit(
                    f"docs/reference/descriptions.yaml, {name}: not described: {sorted(unknown)}; "
                    f"described, but not in the run: {unused}. Correct it and run `{COMMAND}`."
                )
        parts[name] = _table(["key", "meaning"], [[f"`{key}`", meaning] for key, meaning in described.items()])
    return parts


def keys_of(value: Any, path: str = "") -> Iterable[str]:
    """Yield the keys of a metrics file; a dot separates the levels."""
    if not isinstance(value, dict):
        yield path
        return
    for name, inside in value.items():
        yield from keys_of(inside, f"{path}.{name}" if path else name)


def _pattern(row: str) -> str:
    pattern = re.escape(row)
    for name, of_name in PLACEHOLDERS.items():
        pattern = pattern.replace(name, of_name)
    return pattern


def outputs() -> str:
    """Return a heading and a table of the outputs for each stage of dvc.yaml. Exits if one is not described."""
    described = _descriptions()["outputs"]
    parts = []
    for stage, of_stage in stages().items():
        paths = outputs_of(of_stage)
        if missing := [path for path in paths if path not in described]:
            sys.exit(f"docs/reference/descriptions.yaml, outputs: describe {missing} and run `{COMMAND}`.")
        parts.append(
            f"## {stage}\n\n{_table(['output', 'content'], [[f'`{path}`', described[path]] for path in paths])}"
        )
    return "\n\n".join(parts)


def outputs_of(stage: dict[str, Any]) -> list[str]:
    """Return the paths of a stage's outputs and metrics."""
    listed = [*stage.get("outs", ()), *stage.get("metrics", ())]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed]


def commands() -> str:
    """Return the table of the commands."""
    rows = [[f"`anteojos {name}`", each.get_short_help_str(200)] for name, each in command.commands.items()]
    return _table(["command", "what it does"], rows)


def exit_codes() -> str:
    """Return the table of the exit codes, from the help of `anteojos`."""
    _, _, listed = (command.epilog or "").partition("Exit codes:\n")
    return _table(["exit code", "meaning"], [line.split(maxsplit=1) for line in listed.splitlines() if line.strip()])


def usage(name: str, each: click.Command) -> str:
    """Return usage, description, options and examples of a command, from its help."""
    context = click.Context(each, info_name=f"anteojos {name}")
    parts = [f"```text\n{' '.join([f'anteojos {name}', *each.collect_usage_pieces(context)])}\n```"]
    parts += [textwrap.fill(" ".join(part.split()), 118) for part in inspect.cleandoc(each.help or "").split("\n\n")]
    options = [option for option in each.params if isinstance(option, click.Option)]
    if rows := [[_names(option, context), _default(option, context), option.help or ""] for option in options]:
        parts.append(_table(["option", "default", "meaning"], rows))
    examples, *notes = re.split(r"\n\s*\n", (each.epilog or "").removeprefix("\b\nExamples:\n"))
    parts += [f"```sh\n{inspect.cleandoc(examples)}\n```", *notes]
    return "\n\n".join(part for part in parts if part.strip())


def _names(option: click.Option, context: click.Context) -> str:
    longest, *short = sorted(option.opts, key=len, reverse=True)
    if not option.is_flag:
        longest += f" {option.make_metavar(context).removesuffix(' RANGE')}"
    return ", ".join(f"`{name}`" for name in (longest, *short))


def _default(option: click.Option, context: click.Context) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    default = None if option.is_flag else option.get_default(context)
    return f"`{default}`" if isinstance(default, str | int) else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; `|` is escaped in the cells."""
    return table(head, [[cell.replace("|", r"\|") for cell in row] for row in rows])


def defaults() -> dict[str, dict[str, Any]]:
    """Return the committed parameters by section."""
    return _yaml("params.yaml")


def stages() -> dict[str, dict[str, Any]]:
    """Return the stages of dvc.yaml."""
    return _yaml("dvc.yaml")["stages"]


def _descriptions() -> dict[str, dict[str, Any]]:
    return _yaml("docs/reference/descriptions.yaml")


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
