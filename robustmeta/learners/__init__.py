"""Learners: one method a file, each registered under the name recipes use."""

from robustmeta.learners.base import LEARNERS, Classifier, Learner, TaskClassifier
from robustmeta.learners.maml import MAML
from robustmeta.learners.protonet import ProtoNet

__all__ = ["LEARNERS", "MAML", "Classifier", "Learner", "ProtoNet", "TaskClassifier"]
