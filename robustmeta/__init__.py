"""Adversarially robust meta-learning: train few-shot learners against attacks, and measure what they withstand.

A learner turns a support set into a classifier. An attack moves images inside a budget so that a classifier errs.
A defense is a learner around a learner, whose outer loss is taken on attacked tasks.
"""

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.projected_gradient import FGSM, PGD, ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.backbones import BACKBONES, Backbone, Conv4
from robustmeta.checkpoint import Checkpoint
from robustmeta.data import DATASETS
from robustmeta.data.classes import ImageClasses
from robustmeta.defenses import DEFENSES, AdversarialQuerying, FreeAdversarialQuerying
from robustmeta.episodes import EpisodeBatch, Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import evaluate
from robustmeta.learners import LEARNERS, MAML, Classifier, Learner, ProtoNet
from robustmeta.process import prepare_process
from robustmeta.training import train

__all__ = [
    "BACKBONES",
    "DATASETS",
    "DEFENSES",
    "FGSM",
    "LEARNERS",
    "MAML",
    "PGD",
    "AdversarialQuerying",
    "Attack",
    "Backbone",
    "Checkpoint",
    "Classifier",
    "Conv4",
    "EpisodeBatch",
    "Episodes",
    "FreeAdversarialQuerying",
    "ImageClasses",
    "Learner",
    "ProjectedGradient",
    "ProtoNet",
    "RobustMetaError",
    "Threat",
    "TorchAttack",
    "evaluate",
    "prepare_process",
    "train",
]
