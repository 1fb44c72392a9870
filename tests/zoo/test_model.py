"""A model's file holds all of the learner, and damage or another's file is told in one line."""

import pytest
import torch
from safetensors.torch import save_file

import robustmeta as rm
from robustmeta.assembly import build_learner
from robustmeta.recipe_file import read
from robustmeta.zoo import Model

RECIPE = """
name: shelf
backbone: {name: conv4, width: 4, norm: running}
training: {steps: 7, shots: 2}
test: {ways: 3, shots: 1, queries: 2, episodes: 3}
threat: {norm: L2, eps: 0.5}
attacks: [fgsm]
rows:
  - learner: {name: transfer}
    defense: {name: at, attack: pgd-2}
"""


@pytest.fixture
def trained():
    recipe, source = read(RECIPE, "shelf.yaml")
    learner = build_learner(recipe, recipe.rows[0], (1, 16, 16), source, lambda: 11)
    with torch.no_grad():
        for weight in learner.parameters():
            weight.normal_()
    plain = recipe.as_dict()
    measured = {key: plain[key] for key in ("test", "attacks")}
    return learner, Model(learner.state_dict(), recipe.made_by(recipe.rows[0]), 7, measured, (1, 16, 16), 11)


def test_a_model_comes_back_whole(trained, tmp_path):
    learner, model = trained
    model.save(tmp_path / "m.safetensors")
    back = Model.load(tmp_path / "m.safetensors")
    found, kept = back.learner().state_dict(), learner.state_dict()
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], kept[name]) for name in kept)
    assert (back.made, back.measured, back.image_shape, back.classes, back.step) == (
        model.made, model.measured, (1, 16, 16), 11, 7,
    )  # fmt: skip
    assert not back.learner().training
    assert back.learner().defense == "at"


def test_its_recipe_is_that_of_its_rows(trained):
    recipe = trained[1].recipe
    assert (recipe.threat, recipe.attacks) == (rm.Threat("L2", 0.5), ["fgsm"])
    assert (recipe.test.ways, recipe.test.shots, recipe.test.queries, recipe.test.episodes) == (3, 1, 2, 3)
    assert recipe.training_of(recipe.rows[0]).shots == 2


def test_loading_draws_no_random_number(trained):
    before = torch.get_rng_state()
    trained[1].learner()
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_no_model_is_refused(trained, tmp_path):
    model = trained[1]
    with pytest.raises(rm.RobustMetaError, match="missing, truncated or not a model"):
        Model.load(tmp_path / "none.safetensors")
    model.save(tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(rm.RobustMetaError, match="missing, truncated or not a model"):
        Model.load(tmp_path / "half.safetensors")
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(rm.RobustMetaError, match="is not a model of robustmeta"):
        Model.load(tmp_path / "other.safetensors")
    save_file({"weight": torch.ones(2)}, tmp_path / "odd.safetensors", {"format": "robustmeta model 1", "about": "{"})
    with pytest.raises(rm.RobustMetaError, match="not a model of robustmeta"):
        Model.load(tmp_path / "odd.safetensors")


def test_weights_of_another_learner_do_not_fit(trained):
    model = trained[1]
    with pytest.raises(rm.RobustMetaError, match="zoo:m is the checkpoint of another learner"):
        Model({"weight": torch.ones(2)}, model.made, 7, model.measured, model.image_shape, 11).learner("zoo:m")
