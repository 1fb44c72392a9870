"""Learners: one method a file, each registered under the name recipes use."""

from robustmeta.learners.abml import ABML
from robustmeta.learners.anil import ANIL
from robustmeta.learners.base import LEARNERS, Classifier, Learner, TaskClassifier
from robustmeta.learners.finetune import FineTune
from robustmeta.learners.fomaml import FOMAML
from robustmeta.learners.maml import MAML
from robustmeta.learners.mamlpp import MAMLPlusPlus
from robustmeta.learners.mann import MANN
from robustmeta.learners.matching import MatchingNet
from robustmeta.learners.meta_sgd import MetaSGD
from robustmeta.learners.metanets import MetaNets
from robustmeta.learners.metaoptnet import MetaOptNet
from robustmeta.learners.protonet import ProtoNet
from robustmeta.learners.r2d2 import R2D2
from robustmeta.learners.relation import RelationNet
from robustmeta.learners.reptile import Reptile
from robustmeta.learners.siamese import Siamese
from robustmeta.learners.transfer import Transfer
from robustmeta.learners.unicorn_maml import UnicornMAML
from robustmeta.learners.versa import Versa

__all__ = [
    "ABML",
    "ANIL",
    "FOMAML",
    "LEARNERS",
    "MAML",
    "MANN",
    "R2D2",
    "Classifier",
    "FineTune",
    "Learner",
    "MAMLPlusPlus",
    "MatchingNet",
    "MetaNets",
    "MetaOptNet",
    "MetaSGD",
    "ProtoNet",
    "RelationNet",
    "Reptile",
    "Siamese",
    "TaskClassifier",
    "Transfer",
    "UnicornMAML",
    "Versa",
]
