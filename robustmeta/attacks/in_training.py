"""Attacks that may craft in training: white-box ones, on queries."""

from robustmeta.attacks.base import Attack, Threat, is_attack, traits_of
from robustmeta.attacks.card import card
from robustmeta.errors import RobustMetaError


def training_attack(attack: object, threat: Threat) -> Attack:
    """The attack of a card's name under `threat`, or an attack as it is; refused unless it is safe in training."""
    if isinstance(attack, str):
        found = card(attack)
        if not found.safe_in_training:
            raise RobustMetaError(f"the attack {attack!r} is not safe in training; pgd-7 is")
        return found.build(threat)
    if not is_attack(attack):
        raise RobustMetaError(
            f"attack is {attack!r}; it must be the name of a card, as pgd-7, or have a threat, as PGD()"
        )
    traits = traits_of(attack)
    if (traits.target, traits.knowledge) != ("query", "white-box"):
        raise RobustMetaError(
            f"the attack {type(attack).__name__} is not safe in training: it is {traits.knowledge}, on "
            f"{traits.target}; a white-box attack on queries is, as PGD(0.1, steps=7)"
        )
    return attack  # type: ignore[return-value]
