"""The network in LiteRT's format: prepared images in, probabilities out, without TensorFlow."""

import numpy as np
import numpy.typing as npt

from anteojos.runtime.litert import LiteModel
from anteojos.vocabulary import Pixels


class LiteNetwork(LiteModel):
    """A .tflite file that maps uint8 (N, size, size, 3) to the probability of the first class, float32 (N, 1)."""

    @property
    def size(self) -> int:
        """Width and height of the images, in px."""
        return self.shape[0]

    def probability(self, image: Pixels) -> np.float32:
        """Return the probability of the first class for a prepared image, uint8 (size, size, 3)."""
        return np.float32(self(image)[0][0])

    def probabilities(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the probability of the first class, float32 (N,), for prepared images, uint8 (N, size, size, 3).

        Images are passed to the network one by one, so that a probability does not depend on the other images.
        """
        return np.fromiter(map(self.probability, images), np.float32, count=len(images))
