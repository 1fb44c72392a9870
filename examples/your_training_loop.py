"""Robust training in a PyTorch loop of your own: one line changed, marked below.

Run: python examples/your_training_loop.py (a few seconds; the steps are far too few for good numbers).
"""

import pandas as pd
import torch

import robustmeta as rm


def trained(robustly: bool) -> rm.Learner:
    """A learner after a plain training loop, with or without the change."""
    torch.manual_seed(0)
    learner = rm.MAML(rm.Conv4(channels=1, size=28, width=12, norm="support"), ways=5, steps=1)
    robust = rm.AdversarialQuerying(learner, rm.PGD(eps=0.1, steps=2))  # around the same weights
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.005)
    for step in range(30):
        batch = train.batch(range(2 * step, 2 * step + 2))  # tensors support_x [T, N, C, H, W], ...
        loss = robust.loss(batch) if robustly else learner.loss(batch)  # the line that changes
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return learner.eval()


rm.prepare_process(threads=1)
train = rm.Episodes("glyphs", "train", ways=5, shots=1, queries=3, seed=0)
test = rm.Episodes("glyphs", "test", ways=5, shots=1, queries=5, seed=1)
learners = {"learner.loss": trained(robustly=False), "robust.loss": trained(robustly=True)}
tables = {loss: rm.evaluate(learner, test, ["fgsm"], episodes=10) for loss, learner in learners.items()}
print(pd.concat(tables, names=["loss"]).reset_index()[["loss", "attack", "accuracy", "ci95"]].to_string(index=False))
