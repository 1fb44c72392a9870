"""An attack of your own beside one of this library's: what it returns is clipped, measured and scored by the caller.

Run: python examples/your_attack.py (a few seconds).
"""

import torch
from torch import Tensor

import robustmeta as rm
from robustmeta.attacks.base import Traits


class CornerSearch:
    """The worst of some random corners of the L-infinity ball, image by image, by the classifier's logits alone."""

    threat = rm.Threat("Linf", eps=0.1)
    traits = Traits(knowledge="black-box", loss="ce", steps=20)  # for the audit

    def __call__(self, classifier: rm.Classifier, images: Tensor, labels: Tensor, seeds=None) -> Tensor:
        """Images [T, Q, C, H, W] moved against the classifier, for labels [T, Q]; a random stream a task."""
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        worst, most = images, torch.full(labels.shape, -torch.inf)
        for _ in range(self.traits.steps):
            corner = torch.stack([torch.randn(images.shape[1:], generator=stream).sign() for stream in streams])
            moved = (images + self.threat.eps * corner).clamp(0, 1)
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(classifier(moved).mT, labels, reduction="none")
            worst = torch.where((loss > most)[..., None, None, None], moved, worst)
            most = most.maximum(loss)
        return worst


rm.prepare_process(threads=1)
torch.manual_seed(0)
learner = rm.ProtoNet(rm.Conv4(channels=1, size=28, width=12))
rm.train(learner, rm.Episodes("glyphs", "train", ways=5, shots=1, queries=3), steps=30, tasks=2, lr=0.005)

test = rm.Episodes("glyphs", "test", ways=5, shots=1, queries=5, seed=1)
table = rm.evaluate(learner, test, attacks={"corners": CornerSearch(), "pgd": rm.PGD(eps=0.1, steps=10)}, episodes=10)
print(table[["attack", "accuracy", "ci95", "largest", "forwards", "backwards"]].to_string(index=False))
