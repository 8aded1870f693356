"""Normalize and compare the names of files, folders and classes, and find unsafe characters in them."""

import unicodedata
from functools import lru_cache


def nfc(name: str) -> str:
    """Return a name in Unicode's form NFC: macOS stores "é" as two characters, other systems as one."""
    return unicodedata.normalize("NFC", name)


@lru_cache(1024)  # called mostly for the same few folders
def comparable(name: str) -> str:
    """Return a key to compare names as the file systems of macOS and Windows do: ignoring case, in NFC."""
    return nfc(nfc(name).casefold())


def fault_of_characters(name: str) -> str:
    """Return which characters of a name would break tables and messages, or "" if there are none."""
    if "\0" in name:
        return "a NUL in its name"
    categories = {unicodedata.category(character) for character in name}
    if categories & {"Cc", "Zl", "Zp"}:
        return "control characters in its name"
    return "not UTF-8" if "Cs" in categories else ""
