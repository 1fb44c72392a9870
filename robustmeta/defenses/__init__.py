"""Defenses: learners around learners, one method a file, each registered under the name recipes use."""

from robustmeta.defenses.adml import ADML
from robustmeta.defenses.adversarial_querying import AdversarialQuerying
from robustmeta.defenses.adversarial_support import AdversarialSupport
from robustmeta.defenses.adversarial_training import AdversarialTraining
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.defenses.free_adversarial_querying import FreeAdversarialQuerying
from robustmeta.defenses.gaussian_noise import GaussianNoise
from robustmeta.defenses.label_smoothing import LabelSmoothing
from robustmeta.defenses.lcat import LongTermCross
from robustmeta.defenses.mart_querying import MartQuerying
from robustmeta.defenses.more_shots import MoreShots
from robustmeta.defenses.query_defense import QueryDefense
from robustmeta.defenses.r_maml import RMAML
from robustmeta.defenses.trades_querying import TradesQuerying
from robustmeta.defenses.weight_perturbation import WeightPerturbation

__all__ = [
    "ADML",
    "DEFENSES",
    "RMAML",
    "AdversarialQuerying",
    "AdversarialSupport",
    "AdversarialTraining",
    "Defense",
    "FreeAdversarialQuerying",
    "GaussianNoise",
    "LabelSmoothing",
    "LongTermCross",
    "MartQuerying",
    "MoreShots",
    "QueryDefense",
    "TradesQuerying",
    "WeightPerturbation",
]
