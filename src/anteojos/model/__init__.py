"""Networks, training, and the trained model as a classifier."""
