"""The networks, their training, and the trained model as a classifier."""
