"""The terms that the whole project shares: splits, classes, crops and image arrays."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Split = Literal["train", "validate", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# Next to the folders of the splits: a CSV with the columns file,label for test images that are in no class folder.
TEST_LABELS = "test_labels.csv"
# The class folders of the drawn faces, and of the data that the network `edge` is made for.
GLASSES = ("glasses", "noglasses")
# face: find the face, align and crop it. none: the whole image.
Crop = Literal["face", "none"]
Network = Literal["baseline", "sigmoid", "deep", "dropout", "edge"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
# One image, uint8 (height, width, 3), RGB.
Pixels = npt.NDArray[np.uint8]
