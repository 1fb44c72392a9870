"""Attacks on the support set: part of what a learner adapts to, moved through the adaptation."""

from robustmeta.attacks.support.base import CraftedSupport, Placed, SupportAttack, craft_support, folds, with_columns
from robustmeta.attacks.support.joint import Joint
from robustmeta.attacks.support.poison import Poison
from robustmeta.attacks.support.swap import Swap

__all__ = [
    "CraftedSupport",
    "Joint",
    "Placed",
    "Poison",
    "SupportAttack",
    "Swap",
    "craft_support",
    "folds",
    "with_columns",
]
