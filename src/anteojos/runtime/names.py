"""Names of files, folders and classes: one spelling for one name, and which characters are safe."""

import unicodedata
from functools import lru_cache


def nfc(name: str) -> str:
    """Return the one spelling of a name: macOS stores "é" as two characters, others store it as one."""
    return unicodedata.normalize("NFC", name)


@lru_cache(1024)  # mostly asked for the same few folders
def comparable(name: str) -> str:
    """Return a key that is equal for names that are one name on some file system (macOS, Windows)."""
    return nfc(nfc(name).casefold())


def fault_of_characters(name: str) -> str:
    """Return which characters would break tables and messages, or an empty text."""
    if "\0" in name:
        return "a NUL in its name"
    categories = {unicodedata.category(character) for character in name}
    if categories & {"Cc", "Zl", "Zp"}:
        return "control characters in its name"
    return "not UTF-8" if "Cs" in categories else ""
