"""The registry of defenses: learners around learners."""

from robustmeta.learners.base import Learner
from robustmeta.registry import Registry

DEFENSES: Registry[type[Learner]] = Registry("defense")
