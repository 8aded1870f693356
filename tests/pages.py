"""The pages that people read, README and docs: what they tell to type, to write and to follow."""

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
    """What a page tells its reader to do: run a command, run Python, or write YAML into params.yaml.

    `output` is what the page says that comes of it, line by line; none where it does not say.
    """

    kind: Literal["command", "python", "params"]
    text: str
    output: tuple[str, ...] = ()


def steps(page: Path) -> list[Step]:
    """Return the steps of a page, in their order.

    Commands stand in blocks of `console` after `$ `, with what they print below; what a block of Python prints stands
    in a block of `text` right after it; a block of `yaml` that begins with `# params.yaml` is to be written there.
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
    assert not first.strip(), f"no command, in a block of console: {first}"
    found = []
    for command in commands:
        # A line that ends in a backslash goes on in the next.
        lines = re.match(r"(?:.*\\\n)*.*", command)
        assert lines
        text, output = lines[0], command[lines.end() :]
        found.append(Step("command", text, tuple(output.splitlines())))
    return found


def not_said(expected: tuple[str, ...], said: str) -> list[str]:
    """Return the lines of a page's output that a command did not say, in their order, whatever its figures were.

    A line of "…" stands for any lines, "…" in a line for any text.
    """
    lines = iter([_without_figures(line) for line in said.splitlines()])
    wanted = [line for line in expected if line.strip() not in ("", "…")]
    return [line for line in wanted if not _is_among(line, lines)]


def _is_among(line: str, lines: Iterator[str]) -> bool:
    pattern = re.compile(".*".join(map(re.escape, _without_figures(line).split("…"))))
    return any(pattern.fullmatch(other) for other in lines)


def _without_figures(line: str) -> str:
    return " ".join(re.sub(r"[─━]+|-{3,}", "─", _NUMBER.sub("0", line)).split())


ERRORS = ROOT / "docs/reference/errors.md"


def undocumented(heading: str, said: str, which: int = 0) -> list[str]:
    """Return what the page of errors shows below a heading, in its block number `which`, that was not said."""
    blocks = re.findall(r"^```text\n(.*?)^```$", section(ERRORS, heading), re.MULTILINE | re.DOTALL)
    return not_said(tuple(blocks[which].splitlines()), said)


def section(page: Path, heading: str) -> str:
    """Return what stands below a heading of a page, up to the next one."""
    below = page.read_text(encoding="utf-8").partition(f"# {heading}\n")[2]
    assert below, f"{page.name} has no heading {heading}"
    return re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]


def links(page: Path) -> list[str]:
    """Return what a page links to on its own site: paths and anchors, images among them."""
    found = re.findall(r"\]\(([^()\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"\w+:", link)]


def leads_somewhere(page: Path, link: str) -> bool:
    """Return whether a relative link's file is there, and in it the heading that its anchor means."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and GitLab make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of a page, cell by cell, without its head."""
    rows = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]
