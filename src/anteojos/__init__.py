"""Faces with and without glasses: a pipeline, a model and a command."""
