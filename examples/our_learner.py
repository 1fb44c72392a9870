"""A learner of this library, trained plainly and by adversarial querying, under the same attacks.

Run: python examples/our_learner.py (a few seconds; `steps` are far too few for good numbers).
"""

import pandas as pd
import torch

import robustmeta as rm

rm.prepare_process(threads=1)
train = rm.Episodes("glyphs", "train", ways=5, shots=1, queries=3, seed=0)
test = rm.Episodes("glyphs", "test", ways=5, shots=1, queries=5, seed=1)

tables = []
for robust in (False, True):
    torch.manual_seed(0)
    learner = rm.ProtoNet(rm.Conv4(channels=1, size=28, width=12))
    if robust:
        learner = rm.AdversarialQuerying(learner, rm.PGD(eps=0.1, steps=3))
    rm.train(learner, train, steps=30, tasks=2, lr=0.005)
    tables.append(rm.evaluate(learner, test, attacks=["fgsm", "pgd-20-margin"], episodes=10))
print(pd.concat(tables)[["learner", "defense", "attack", "accuracy", "ci95"]].to_string(index=False))
