"""Adapters: what people already have, each as a `Learner`; a file each."""

from robustmeta.adapters.easyfsl import EasyFSL
from robustmeta.adapters.functions import Functions
from robustmeta.adapters.iteryne import Iteryne
from robustmeta.adapters.learn2learn import Learn2Learn
from robustmeta.adapters.linear_head import LinearHeadModule
from robustmeta.adapters.taskwise import TaskwiseLearner
from robustmeta.adapters.torchopt import TorchOpt

__all__ = ["EasyFSL", "Functions", "Iteryne", "Learn2Learn", "LinearHeadModule", "TaskwiseLearner", "TorchOpt"]
