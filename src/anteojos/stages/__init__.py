"""One module per stage of dvc.yaml: read its inputs, call the library, write its outputs."""

import atexit
import gc

# Imports create many objects and little garbage. With the default of 700, Python searches them again and again, which
# takes a quarter of the time of an import.
gc.set_threshold(50_000)
# At its end, Python searches all objects that are not frozen, which takes a second after TensorFlow was imported.
atexit.register(gc.freeze)
