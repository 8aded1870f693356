"""The parts of README.md that are measured, and so written by the command that measures them."""

from pathlib import Path

README = Path("README.md")


def write_part(name: str, command: str, text: str) -> None:
    """Put `text` between the two marks of the part `name`, and print it. Raises ValueError where there are no marks."""
    begin, end = f"<!-- {name}: written by {command} -->\n", f"\n<!-- {name}: end -->"
    readme = README.read_text(encoding="utf-8")
    start, stop = readme.index(begin) + len(begin), readme.index(end)
    README.write_text(readme[:start] + text + readme[stop:], encoding="utf-8")
    print(text)
