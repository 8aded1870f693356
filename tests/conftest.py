"""What several test files share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real pictures, which lies beside the checkout and is never committed."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder.relative_to(ROOT.parent)} is not beside the checkout")
    return folder
