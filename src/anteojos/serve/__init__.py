"""The HTTP service `anteojos serve`, and its demo page."""
