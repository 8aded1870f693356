"""Read README and docs: their commands, code, links, tables and messages."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.conftest import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+([.,]\d+)*(e[-+]\d+)?")


@dataclass(frozen=True)
class Step:
    """A step of a page: run a command, run Python, or write YAML into params.yaml.

    `output` is the output that the page shows, line by line; empty if it shows none.
    """

    kind: Literal["command", "python", "params"]
    text: str
    output: tuple[str, ...] = ()


def steps(page: Path) -> list[Step]:
    """Return the steps of a page in their order.

    Commands are in `console` blocks, after `$ `, followed by their output. The output of a `python` block is in a
    `text` block directly after it. A `yaml` block that begins with `# params.yaml` is to be written there.
    """
    found: list[Step] = []
    python_ends = -1
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        language, body = block.groups()
        if language == "console":
            found += _commands(body)
        elif language == "python":
            found.append(Step("python", body))
            python_ends = block.end()
        elif language == "text" and 0 < block.start() - python_ends <= 2:
            found[-1] = Step("python", found[-1].text, tuple(body.splitlines()))
        elif language == "yaml" and body.startswith("# params.yaml"):
            found.append(Step("params", body))
    return found


def _commands(body: str) -> list[Step]:
    first, *commands = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not first.strip(), f"console block without a command: {first}"
    found = []
    for command in commands:
        # A backslash at the end continues the line.
        lines = re.match(r"(?:.*\\\n)*.*", command)
        assert lines
        text, output = lines[0], command[lines.end() :]
        found.append(Step("command", text, tuple(output.splitlines())))
    return found


def missing_lines(expected: tuple[str, ...], output: str) -> list[str]:
    """Return the expected lines that are not in the output, in the same order; numbers may differ.

    A line "…" matches any lines, "…" in a line any text.
    """
    lines = iter([_without_figures(line) for line in output.splitlines()])
    wanted = [line for line in expected if line.strip() not in ("", "…")]
    return [line for line in wanted if not _is_among(line, lines)]


def _is_among(line: str, lines: Iterator[str]) -> bool:
    pattern = re.compile(".*".join(map(re.escape, _without_figures(line).split("…"))))
    return any(pattern.fullmatch(other) for other in lines)


def _without_figures(line: str) -> str:
    return " ".join(re.sub(r"[─━]+|-{3,}", "─", _NUMBER.sub("0", line)).split())


ERRORS = ROOT / "docs/reference/errors.md"


def undocumented(heading: str, message: str, which: int = 0) -> list[str]:
    """Return the lines of block number `which` below a heading of errors.md that are not in the message."""
    blocks = re.findall(r"^```text\n(.*?)^```$", section(ERRORS, heading), re.MULTILINE | re.DOTALL)
    return missing_lines(tuple(blocks[which].splitlines()), message)


def section(page: Path, heading: str) -> str:
    """Return the text below a heading of a page, up to the next heading."""
    below = page.read_text(encoding="utf-8").partition(f"# {heading}\n")[2]
    assert below, f"{page.name} has no heading {heading}"
    return re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]


def links(page: Path) -> list[str]:
    """Return the relative links and images of a page."""
    found = re.findall(r"\]\(([^()\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"\w+:", link)]


def link_exists(page: Path, link: str) -> bool:
    """Return whether the file of a relative link exists and has the heading of its anchor."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as on GitHub and GitLab."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of a page, without its first row."""
    rows = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]
