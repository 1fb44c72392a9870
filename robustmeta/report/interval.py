"""Moved to robustmeta.interval (evaluation needs it too); this name goes when the tests have followed."""

from robustmeta.interval import mean_interval

__all__ = ["mean_interval"]
