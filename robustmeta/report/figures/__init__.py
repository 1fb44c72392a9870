"""The figures of a report: rows to pictures, one figure a file."""

from robustmeta.report.figures.distribution import accuracy_by_episode
from robustmeta.report.figures.drawn import figures
from robustmeta.report.figures.eps import accuracy_against_eps
from robustmeta.report.figures.gallery import gallery
from robustmeta.report.figures.pareto import clean_against_worst
from robustmeta.report.figures.steps import accuracy_against_steps

__all__ = [
    "accuracy_against_eps",
    "accuracy_against_steps",
    "accuracy_by_episode",
    "clean_against_worst",
    "figures",
    "gallery",
]
