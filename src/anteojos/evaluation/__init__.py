"""Metrics, the leak audit, attention maps, figures and the model card."""
