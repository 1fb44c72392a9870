"""Adversarially robust meta-learning: train few-shot learners against attacks, and measure what they withstand.

A learner turns a support set into a classifier. An attack moves images inside a budget so that a classifier errs.
A defense is a learner around a learner, whose outer loss is taken on attacked tasks.
"""

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.projected_gradient import FGSM, PGD, ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.backbones import BACKBONES, Backbone, Conv4, R2D2Net, ResNet12
from robustmeta.batch import EpisodeBatch
from robustmeta.certification import CERTIFICATES, Smoothing, certify
from robustmeta.checkpoint import Checkpoint
from robustmeta.data import DATASETS, as_classes
from robustmeta.data.classes import ImageClasses
from robustmeta.defenses import (
    ADML,
    DEFENSES,
    RMAML,
    AdversarialQuerying,
    AdversarialSupport,
    AdversarialTraining,
    Defense,
    FreeAdversarialQuerying,
    GaussianNoise,
    LabelSmoothing,
    LongTermCross,
    MartQuerying,
    MoreShots,
    QueryDefense,
    TradesQuerying,
    WeightPerturbation,
)
from robustmeta.episodes import Episodes
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
    UnicornMAML,
    Versa,
)
from robustmeta.process import prepare_process
from robustmeta.robustify import robustify
from robustmeta.training import train
from robustmeta.zoo import load_model

__all__ = [
    "ABML",
    "ADML",
    "ANIL",
    "BACKBONES",
    "CERTIFICATES",
    "DATASETS",
    "DEFENSES",
    "FGSM",
    "FOMAML",
    "LEARNERS",
    "MAML",
    "MANN",
    "PGD",
    "R2D2",
    "RMAML",
    "AdversarialQuerying",
    "AdversarialSupport",
    "AdversarialTraining",
    "Attack",
    "Backbone",
    "Checkpoint",
    "Classifier",
    "Conv4",
    "Defense",
    "EpisodeBatch",
    "Episodes",
    "FineTune",
    "FreeAdversarialQuerying",
    "GaussianNoise",
    "ImageClasses",
    "LabelSmoothing",
    "Learner",
    "LongTermCross",
    "MAMLPlusPlus",
    "MartQuerying",
    "MatchingNet",
    "MetaNets",
    "MetaOptNet",
    "MetaSGD",
    "MoreShots",
    "ProjectedGradient",
    "ProtoNet",
    "QueryDefense",
    "R2D2Net",
    "RelationNet",
    "Reptile",
    "ResNet12",
    "RobustMetaError",
    "Siamese",
    "Smoothing",
    "Threat",
    "TorchAttack",
    "TradesQuerying",
    "Transfer",
    "UnicornMAML",
    "Versa",
    "WeightPerturbation",
    "as_classes",
    "certify",
    "evaluate",
    "load_model",
    "prepare_process",
    "robustify",
    "train",
]
