"""docs/defenses.md speaks of every defense, its recipes are read, and its snippet runs."""

import re
from pathlib import Path

import torch
from torch import nn

import robustmeta as rm
from robustmeta.assembly import build_learner
from robustmeta.defenses import DEFENSES
from robustmeta.recipe_file import read

PAGE = (Path(__file__).parents[2] / "docs" / "defenses.md").read_text("utf-8")
ROW = "name: page\nbackbone: {name: conv4, width: 4}\nrows:\n  - learner: {name: protonet}\n"


def test_every_defense_has_its_row() -> None:
    named = dict(re.findall(r"^\| `([\w-]+)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == {name: DEFENSES[name].__name__ for name in DEFENSES}
    assert all(getattr(rm, name) is DEFENSES[key] for key, name in named.items())


def test_its_recipes_are_recipes() -> None:
    stack, certify = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    recipe, source = read(f"{ROW}    {stack}{certify}", "page.yaml")
    assert build_learner(recipe, recipe.rows[0], (1, 28, 28), source, lambda: 9).defense == "its+aq+awp"
    assert recipe.certify is not None
    assert (recipe.certify.radii, recipe.certify.episodes) == ((0.25, 0.5), 50)


def test_its_snippet_runs(episodes) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 8))

    def adapt(support_x, support_y):
        features = network(support_x)
        return torch.stack([features[support_y == label].mean(0) for label in range(3)])

    def logits(prototypes, query_x):
        return -(network(query_x)[:, None] - prototypes).square().sum(-1)

    names = {
        "rm": rm, "learner": rm.ProtoNet(rm.Conv4(size=16, width=4)), "batch": episodes().batch([0, 1]),
        "adapt": adapt, "logits": logits, "network": network,
        "model": nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 3)),
    }  # fmt: skip
    exec(snippet, names)
    assert names["loss"].requires_grad
    assert names["robust"].defense == "trades-aq"
