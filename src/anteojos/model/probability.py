"""Probabilities as text."""

MOST_DECIMALS = 6


def as_text(probability: float, decimals: int) -> str:
    """Return a probability with so many decimals, or with more if it would be rounded to 0.5.

    0.500 would be the probability of both labels, although only one of them is predicted.
    """
    text = f"{probability:.{decimals}f}"
    if float(text) == 0.5 != probability and decimals < MOST_DECIMALS:
        return as_text(probability, decimals + 1)
    return text
