"""Trained learners that ship with the package, each with the rows it was measured in."""

from robustmeta.zoo.model import Model
from robustmeta.zoo.shelf import PREFIX, load_model, models, open_model, rows_of, standing

__all__ = ["PREFIX", "Model", "load_model", "models", "open_model", "rows_of", "standing"]
