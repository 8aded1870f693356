"""A probability just above or below 0.5 does not look like 0.5."""

import pytest

from anteojos.model.probability import as_text


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.9996, "1.000"),
        (0.4994, "0.499"),
        (0.49962, "0.4996"),
        (0.50002, "0.50002"),
        (0.5, "0.500"),
        (0.5 + 1e-9, "0.500000"),
    ],
)
def test_more_decimals_if_it_would_look_like_both_labels(probability: float, text: str) -> None:
    assert as_text(probability, 3) == text
