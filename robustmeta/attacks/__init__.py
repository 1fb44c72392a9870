"""Attacks: callables inside a threat model, and the cards that name their settings.

Importing this package registers every engine that a card can name.
"""

from robustmeta.attacks.apgd import AutoPGD
from robustmeta.attacks.base import Attack, Threat, Traits, craft
from robustmeta.attacks.card import Card, resolve
from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.square import Square
from robustmeta.attacks.support import Joint, Poison, Swap
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.attacks.transfer import Transfer

__all__ = [
    "Attack",
    "AutoPGD",
    "Card",
    "Joint",
    "Poison",
    "ProjectedGradient",
    "Square",
    "Swap",
    "Threat",
    "TorchAttack",
    "Traits",
    "Transfer",
    "UniformNoise",
    "craft",
    "resolve",
]
