"""Label files and folders of images with a trained model, as `anteojos predict` does."""
