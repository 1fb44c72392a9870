"""Defenses: learners around learners, one method a file, each registered under the name recipes use."""

from robustmeta.defenses.adversarial_querying import AdversarialQuerying
from robustmeta.defenses.base import DEFENSES
from robustmeta.defenses.free_adversarial_querying import FreeAdversarialQuerying

__all__ = ["DEFENSES", "AdversarialQuerying", "FreeAdversarialQuerying"]
