"""Adversarially robust meta-learning: train few-shot learners against attacks, and measure what they withstand.

A learner turns a support set into a classifier. An attack moves images inside a budget so that a classifier errs.
A defense is a learner around a learner, whose outer loss is taken on attacked tasks.
"""

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.projected_gradient import FGSM, PGD, ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.backbones import BACKBONES, Backbone, Conv4, R2D2Net, ResNet12
from robustmeta.checkpoint import Checkpoint
from robustmeta.data import DATASETS
from robustmeta.data.classes import ImageClasses
from robustmeta.defenses import DEFENSES, AdversarialQuerying, FreeAdversarialQuerying
from robustmeta.episodes import EpisodeBatch, Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import evaluate
from robustmeta.learners import (
    ABML,
    ANIL,
    FOMAML,
    LEARNERS,
    MAML,
    MANN,
    R2D2,
    Classifier,
    FineTune,
    Learner,
    MAMLPlusPlus,
    MatchingNet,
    MetaNets,
    MetaOptNet,
    MetaSGD,
    ProtoNet,
    RelationNet,
    Reptile,
    Siamese,
    Transfer,
    Versa,
)
from robustmeta.process import prepare_process
from robustmeta.training import train

__all__ = [
    "ABML",
    "ANIL",
    "BACKBONES",
    "DATASETS",
    "DEFENSES",
    "FGSM",
    "FOMAML",
    "LEARNERS",
    "MAML",
    "MANN",
    "PGD",
    "R2D2",
    "AdversarialQuerying",
    "Attack",
    "Backbone",
    "Checkpoint",
    "Classifier",
    "Conv4",
    "EpisodeBatch",
    "Episodes",
    "FineTune",
    "FreeAdversarialQuerying",
    "ImageClasses",
    "Learner",
    "MAMLPlusPlus",
    "MatchingNet",
    "MetaNets",
    "MetaOptNet",
    "MetaSGD",
    "ProjectedGradient",
    "ProtoNet",
    "R2D2Net",
    "RelationNet",
    "Reptile",
    "ResNet12",
    "RobustMetaError",
    "Siamese",
    "Threat",
    "TorchAttack",
    "Transfer",
    "Versa",
    "evaluate",
    "prepare_process",
    "train",
]
