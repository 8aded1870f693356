"""The terms that the whole project shares: splits, classes, crops and image arrays."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Split = Literal["train", "validate", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# The folder of data/raw with the images that have no split yet: `verify` assigns it.
UNSPLIT: Literal["unsplit"] = "unsplit"
SourceSplit = Literal["train", "validate", "test", "unsplit"]
# Next to the folders of the splits: a CSV with the columns file,label for test images that are in no class folder.
TEST_LABELS = "test_labels.csv"
# The class folders of the drawn faces, and of the data that the network `edge` is made for.
GLASSES = ("glasses", "noglasses")
# Key for the number of images without a label; it cannot be the name of a class folder.
NOT_KNOWN = "not known"
# face: find the face, align and crop it. none: the whole image.
Crop = Literal["face", "none"]
Network = Literal["baseline", "sigmoid", "deep", "dropout", "edge"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
# One image, uint8 (height, width, 3), RGB.
Pixels = npt.NDArray[np.uint8]
