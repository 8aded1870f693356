"""The 2024 notebook as one script, without its figures: `make bench` compares the pipeline with it.

`python benchmarks/notebook.py FOLDER` trains on the images of FOLDER/train, validates on those of FOLDER/validate and
labels those of FOLDER/test, one at a time. As in 2024: Keras, pixels from 0 to 255, batches of 32, 10 epochs; the model
is saved and loaded again. Keras now reads images with `image_dataset_from_directory` instead of `ImageDataGenerator`.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

SIZE = (160, 160)


def main(folder: Path) -> None:
    """Train, save, load and label."""
    train, validate = (
        keras.utils.image_dataset_from_directory(
            folder / split, label_mode="categorical", image_size=SIZE, batch_size=32, seed=1
        )
        for split in ("train", "validate")
    )
    network = keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(0.001), loss="binary_crossentropy", metrics=["accuracy"])
    network.fit(train, validation_data=validate, epochs=10, verbose=2)
    with tempfile.TemporaryDirectory() as models:
        path = Path(models, "model.keras")
        network.save(path)
        network = keras.saving.load_model(path)
    for path in sorted((folder / "test").glob("*.jpg")):
        image = keras.utils.img_to_array(keras.utils.load_img(path, target_size=SIZE))
        outputs = network.predict(image[np.newaxis], verbose=0)[0]
        print(path.name, "glasses" if outputs[0] > outputs[1] else "no-glasses")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
