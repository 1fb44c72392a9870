"""A stand-in for easyfsl 1.5.0, whose import needs torchvision: its interface, written from its source.

`easyfsl/methods/few_shot_classifier.py` sets plain tensors as attributes before any support set is seen, sets them
again in `process_support_set`, and classifies in `forward` by what it finds there. `bd_cspn.py` rectifies the
prototypes by the queries in `forward`, and says so by `is_transductive()`; `finetune.py` moves them there, in place, by
an optimizer, and returns detached scores; `tim.py` does so by the queries' features too, backward through them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PrototypicalNetworks(nn.Module):
    """As easyfsl's: minus the distance, not squared, to the class means."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.prototypes = torch.tensor(())
        self.support_features = torch.tensor(())
        self.support_labels = torch.tensor(())

    def process_support_set(self, support_images: Tensor, support_labels: Tensor) -> None:
        self.support_labels = support_labels
        self.support_features = self.backbone(support_images)
        labels = range(len(torch.unique(support_labels)))
        self.prototypes = torch.stack([self.support_features[support_labels == label].mean(0) for label in labels])

    def forward(self, query_images: Tensor) -> Tensor:
        return -torch.cdist(self.backbone(query_images), self.prototypes)

    @staticmethod
    def is_transductive() -> bool:
        return False


class BDCSPN(PrototypicalNetworks):
    """As easyfsl's: `forward` moves the prototypes by the queries."""

    def forward(self, query_images: Tensor) -> Tensor:
        features = self.backbone(query_images)
        self.prototypes = (self.prototypes + features.mean(0)) / 2
        return -torch.cdist(features, self.prototypes)

    @staticmethod
    def is_transductive() -> bool:
        return True


class Finetune(PrototypicalNetworks):
    """As easyfsl's: the backbone is frozen, and `forward` moves the prototypes in place."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.backbone.requires_grad_(False)

    def forward(self, query_images: Tensor) -> Tensor:
        features = self.backbone(query_images)
        with torch.enable_grad():
            self.prototypes.requires_grad_()
            optimizer = torch.optim.Adam([self.prototypes], lr=0.01)
            for _ in range(3):
                scores = F.normalize(self.support_features, dim=1) @ F.normalize(self.prototypes, dim=1).T
                optimizer.zero_grad()
                F.cross_entropy(scores, self.support_labels).backward()
                optimizer.step()
        return (F.normalize(features, dim=1) @ F.normalize(self.prototypes, dim=1).T).detach()


class TIM(Finetune):
    """As easyfsl's: the steps go backward through the features of the queries."""

    def forward(self, query_images: Tensor) -> Tensor:
        features = self.backbone(query_images)
        with torch.enable_grad():
            self.prototypes.requires_grad_()
            optimizer = torch.optim.Adam([self.prototypes], lr=0.01)
            for _ in range(3):
                p = (F.normalize(features, dim=1) @ F.normalize(self.prototypes, dim=1).T).softmax(1)
                optimizer.zero_grad()
                (p * p.log()).sum().backward()
                optimizer.step()
        return (F.normalize(features, dim=1) @ F.normalize(self.prototypes, dim=1).T).detach()

    @staticmethod
    def is_transductive() -> bool:
        return True
