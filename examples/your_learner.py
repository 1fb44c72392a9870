"""A few-shot method of your own, as two plain functions of one task, trained robustly and attacked.

Run: python examples/your_learner.py (a few seconds; the steps are far too few for good numbers).
"""

import pandas as pd
import torch
from torch import Tensor, nn

import robustmeta as rm


def adapt(support_x: Tensor, support_y: Tensor) -> Tensor:
    """Your adaptation: here the mean of the features [N, D] of each class, [5, D]."""
    features = network(support_x)
    return torch.stack([features[support_y == label].mean(0) for label in range(5)])


def logits(prototypes: Tensor, query_x: Tensor) -> Tensor:
    """Your classifier: here minus the squared distances [Q, 5] to what `adapt` returned."""
    return -(network(query_x)[:, None] - prototypes).square().sum(-1)


rm.prepare_process(threads=1)
train = rm.Episodes("glyphs", "train", ways=5, shots=1, queries=3, seed=0)
test = rm.Episodes("glyphs", "test", ways=5, shots=1, queries=5, seed=1)

tables = []
for robustly in (False, True):
    torch.manual_seed(0)
    network = nn.Sequential(  # any module will do
        nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(), nn.Flatten(),
    )  # fmt: skip
    robust = rm.robustify(adapt=adapt, logits=logits, module=network, attack="pgd-3", eps=0.1)
    plain = robust.base
    optimizer = torch.optim.Adam(network.parameters(), lr=0.002)
    for step in range(30):
        batch = train.batch(range(2 * step, 2 * step + 2))
        loss = robust.loss(batch) if robustly else plain.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learner = (robust if robustly else plain).eval()
    tables.append(rm.evaluate(learner, test, attacks=["fgsm"], episodes=10))
print(pd.concat(tables)[["learner", "defense", "attack", "accuracy", "ci95"]].to_string(index=False))
