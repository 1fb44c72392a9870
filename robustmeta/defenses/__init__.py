"""Defenses: learners around learners, one method a file, each registered under the name recipes use."""

from robustmeta.defenses.adversarial_querying import AdversarialQuerying
from robustmeta.defenses.base import DEFENSES

__all__ = ["DEFENSES", "AdversarialQuerying"]
