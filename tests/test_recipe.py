"""Recipes against their own YAML."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.attacks.base import Threat
from robustmeta.errors import RobustMetaError
from robustmeta.recipe import Recipe, Row
from robustmeta.recipe_file import find, read
from robustmeta.sections import Curve, Steps, Test
from robustmeta.training import Training

TEXT = """\
name: mine
dataset: {name: omniglot, rotations: true}
test: {ways: 3, episodes: 20, seed: 5}
threat: {norm: Linf, eps: 8/255}
attacks: [pgd-20, square-1000]
curve: {attack: pgd-50, eps: [0, 1/10], episodes: 7}
backbone: {name: conv4, width: 16}
training: {ways: 3, steps: 40, lr: 1e-3, seed: 2}
rows:
  - learner: {name: maml, steps: 3}
    backbone: {norm: support, width: 8}
    training: {shots: 5, seed: 9}
  - learner: {name: protonet}
    defense: {name: aq, attack: pgd-7, ramp: 0.3}
    name: ours
"""


@pytest.fixture
def recipe() -> Recipe:
    return read(TEXT, "mine.yaml")[0]


def test_what_is_written_is_what_is_meant(recipe):
    assert recipe.test == Test(ways=3, shots=1, queries=15, episodes=20, seed=5, split="test")
    assert recipe.threat == Threat("Linf", 8 / 255)
    assert recipe.curve == Curve("pgd-50", (0.0, 0.1), 7)
    assert recipe.attacks == ["pgd-20", "square-1000"]
    assert [row.name for row in recipe.rows] == ["maml-natural", "ours"]
    assert recipe.dataset == {"name": "omniglot", "rotations": True}


def test_another_data_set_to_test_on_is_a_setting_that_older_recipes_have_not(recipe):
    assert recipe.tested_on == recipe.dataset
    assert "dataset" not in recipe.as_dict()["test"]  # or the hash of every recipe there is would change
    across, _ = read(TEXT.replace("seed: 5}", "seed: 5, dataset: {name: folder, size: 28}}"), "x.yaml")
    assert across.tested_on == across.test.dataset == {"name": "folder", "size": 28}
    assert across.hash != recipe.hash
    assert read(across.as_yaml(), "again.yaml")[0] == across
    assert [across.made_by(row) for row in across.rows] == [recipe.made_by(row) for row in recipe.rows]
    assert across.summary == "omniglot -> folder, 3-way 1-shot, Linf eps 8/255: maml-natural, ours"
    for wrong, line in (("{size: 28}", "its dataset needs a 'name'"), ("folder", "test.dataset: is 'folder'")):
        with pytest.raises(RobustMetaError, match=f"x.yaml:3: .*{line}"):
            read(TEXT.replace("seed: 5}", f"seed: 5, dataset: {wrong}}}"), "x.yaml")


def test_a_row_overrules_the_recipe_setting_by_setting(recipe):
    maml, ours = recipe.rows
    assert recipe.training_of(maml) == Training(ways=3, shots=5, steps=40, lr=1e-3, seed=9)
    assert recipe.training_of(ours) == Training(ways=3, steps=40, lr=1e-3, seed=2)
    assert recipe.backbone_of(maml) == {"name": "conv4", "width": 8, "norm": "support"}
    assert recipe.backbone_of(ours) == {"name": "conv4", "width": 16}
    assert recipe.row("ours") is ours
    assert recipe.summary == "omniglot, 3-way 1-shot, Linf eps 8/255: maml-natural, ours"


def test_the_chunk_is_a_setting_of_training_with_a_default(recipe):
    asked = replace(recipe, training={**recipe.training, "chunk": 4})
    (_, before), (_, after) = recipe.rows, asked.rows
    assert (recipe.training_of(before).chunk, asked.training_of(after).chunk) == (2, 4)
    assert asked.hash != recipe.hash
    assert {**asked.made_by(after)["training"], "chunk": 2} == recipe.made_by(before)["training"]


def test_a_seed_from_outside_overrules_every_row(recipe):
    seeded = recipe.seeded(3)
    assert [seeded.training_of(row).seed for row in seeded.rows] == [3, 3]
    assert seeded.training_of(seeded.rows[0]) == replace(recipe.training_of(recipe.rows[0]), seed=3)
    assert seeded.test == recipe.test
    assert seeded.hash != recipe.hash


def test_a_seed_from_outside_does_not_make_copies_of_rows(recipe):
    own = replace(recipe.rows[0], name="again", training={**recipe.rows[0].training, "seed": 1})
    with pytest.raises(RobustMetaError, match=r"maml-natural and again of mine differ in nothing but their seeds"):
        replace(recipe, rows=(*recipe.rows, own)).seeded(7)


@pytest.mark.parametrize(
    ("threat", "eps"),
    [
        (Threat("Linf", 0.1), (0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2)),
        (Threat("L2", 2.0), (0, 0.5, 1, 1.5, 2, 3, 4)),
        (Threat("Linf", 0.6), (0, 0.15, 0.3, 0.45, 0.6, 0.9)),
    ],
)
def test_a_curve_without_eps_is_drawn_round_that_of_the_threat(recipe, threat, eps):
    assert replace(recipe, threat=threat, curve=Curve()).curve_eps == eps
    assert replace(recipe, threat=threat).curve_eps == recipe.curve.eps


@pytest.mark.parametrize("section", ["curve", "certify", "steps"])
def test_no_section_is_measured_on_too_few_episodes(section):
    text = "".join(line for line in TEXT.splitlines(True) if not line.startswith("curve"))
    with pytest.raises(RobustMetaError, match=rf"mine.yaml:\d+: {section}: episodes is 0; an interval"):
        read(f"{text}{section}: {{episodes: 0}}\n", "mine.yaml")


def test_the_yaml_reads_back_to_the_same_recipe_with_the_same_hash(recipe):
    again, _ = read(recipe.as_yaml(), "again.yaml")
    assert again == recipe
    assert again.hash == recipe.hash
    assert again.as_yaml() == recipe.as_yaml()


def test_steps_are_a_section_of_their_own_that_leaves_other_hashes_alone(recipe):
    assert "steps" not in recipe.as_dict()
    asked, _ = read(TEXT.replace("rows:", "steps: {steps: [0, 10, 2]}\nrows:"), "mine.yaml")
    assert asked.steps == Steps("pgd-20-margin", (0, 10, 2), 50)
    assert read(asked.as_yaml(), "again.yaml")[0] == asked
    assert asked.hash != recipe.hash
    assert asked.made_by(asked.rows[0]) == recipe.made_by(recipe.rows[0])


@pytest.mark.parametrize(("name", "known"), [("glyphs-5w1s", "24e40978d9b4"), ("learners-omniglot", "e4e33449be22")])
def test_the_hashes_of_reports_that_are_out_stay(name, known):
    assert find(name)[0].hash == known


@pytest.mark.parametrize("steps", ["[]", "[-1, 5]", "[5, 5]", "[0, 1.5]"])
def test_steps_are_different_whole_numbers(steps):
    with pytest.raises(RobustMetaError, match=r"^mine.yaml:9: steps"):
        read(TEXT.replace("rows:", f"steps: {{steps: {steps}}}\nrows:"), "mine.yaml")


NUMBERLIKE = st.from_regex(r"[-+]?[0-9.]{0,3}([eExo:_][-+]?[0-9.]{0,3})?", fullmatch=True)
TEXTS = st.sampled_from(["no", "null", "2026-01-01", "1e3", "09", "0x1F", "~", "a: b", "é", "a\nb"]) | NUMBERLIKE
NUMBERS = st.floats(0, 1) | st.integers() | st.booleans() | st.none()


@settings(deadline=None)
@given(TEXTS.filter(lambda text: text and text[0] not in "+-." and "\n" not in text), st.floats(0, 1),
       st.dictionaries(TEXTS, TEXTS | NUMBERS))  # fmt: skip
def test_no_name_or_number_is_changed_by_writing_it(name, eps, options):
    row = Row({"name": "protonet", **options}, name=name)
    recipe = Recipe(name, (row,), threat=Threat("Linf", eps), curve=Curve(eps=(eps, 0.1)))
    again, _ = read(recipe.as_yaml(), "again.yaml")
    assert again == recipe
    assert again.hash == recipe.hash


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", ".hidden", "a\nb", "=cmd|calc", "+1", "-x", "@sum"])
def test_a_name_that_is_no_file_name_or_a_formula_is_refused_of_rows_and_recipes(name):
    row = Row({"name": "protonet"}, name="plain = name")
    with pytest.raises(RobustMetaError, match="cannot be that of a file"):
        Row({"name": "protonet"}, name=name)
    with pytest.raises(RobustMetaError, match="cannot be that of a file"):
        Recipe(name, (row,))
    with pytest.raises(RobustMetaError, match="cannot be that of a file"):
        Recipe("", (row,))


def test_the_hash_hangs_on_every_setting_and_not_on_the_layout(recipe):
    assert len(recipe.hash) == 12
    flow = TEXT.replace("threat: {norm: Linf, eps: 8/255}", "threat:\n  eps: 8/255  # budget\n  norm: Linf")
    assert read(flow, "x")[0].hash == recipe.hash
    changes = [("eps: 8/255", "eps: 9/255"), ("episodes: 7", "episodes: 8"), ("ramp: 0.3", "ramp: 0.4"), ("ours", "mi")]
    changed = {read(TEXT.replace(old, new), "x")[0].hash for old, new in changes}
    assert len({*changed, recipe.hash}) == len(changes) + 1


def test_an_unknown_row_is_answered_with_the_nearest(recipe):
    with pytest.raises(RobustMetaError, match=r"unknown row 'our'; did you mean 'ours'\?"):
        recipe.row("our")


def test_what_made_a_checkpoint_is_what_its_weights_hang_on(recipe):
    made = recipe.made_by(recipe.rows[1])
    same = replace(recipe, name="other", attacks="quick", test=replace(recipe.test, episodes=9), curve=Curve())
    assert same.made_by(same.rows[1]) == made
    assert recipe.made_by(recipe.rows[0]) != made
    for changed in (
        replace(recipe, threat=Threat("Linf", 0.2)),
        replace(recipe, dataset={"name": "glyphs"}),
        replace(recipe, test=replace(recipe.test, ways=4)),
        recipe.seeded(0),
    ):
        assert changed.made_by(changed.rows[1]) != made


def test_a_checkpoint_tells_the_recipe_of_its_row(recipe):
    made = recipe.made_by(recipe.rows[0])
    single = Recipe.of_checkpoint(made, episodes=11, queries=4)
    assert single.test == Test(ways=3, shots=5, queries=4, episodes=11)
    assert single.made_by(single.rows[0]) == made
    with pytest.raises(RobustMetaError, match="the checkpoint's recipe is not a robustmeta recipe's"):
        Recipe.of_checkpoint({"note": 1})
