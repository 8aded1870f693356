"""Where images come from: an archive or folder, Kaggle, drawn faces."""
