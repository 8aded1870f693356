"""One module per stage of dvc.yaml: read its inputs, call the library, write its outputs."""

import gc

# Imports create many objects and little garbage. With the default of 700, Python searches them again and again, which
# takes a quarter of the time of an import.
gc.set_threshold(50_000)
