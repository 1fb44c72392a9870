"""Attacks: callables inside a threat model, and the cards that name their settings."""

from robustmeta.attacks.base import Attack, Threat, craft
from robustmeta.attacks.card import Card, resolve
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack

__all__ = ["Attack", "Card", "ProjectedGradient", "Threat", "TorchAttack", "craft", "resolve"]
