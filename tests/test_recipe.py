"""Recipes against their own YAML, and the line of every kind of mistake."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.attacks.base import Threat
from robustmeta.errors import RobustMetaError
from robustmeta.recipe import Recipe, Row, find, read
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


def test_a_recipe_like_another_differs_in_the_sections_it_has(recipe, tmp_path):
    path = tmp_path / "base.yaml"
    path.write_text(TEXT)
    other, _ = read(f"name: other\nlike: {path}\ntest: {{shots: 5}}\n", "other.yaml")
    assert other == replace(recipe, name="other", test=Test(shots=5))
    assert read(other.as_yaml(), "again.yaml")[0] == other
    assert [other.training_of(row) for row in other.rows] == [recipe.training_of(row) for row in recipe.rows]
    assert find(str(path))[0].hash == read(f"name: mine\nlike: {path}\n", "same.yaml")[0].hash
    shipped, _ = read("like: omniglot-5w1s\nname: x\n", "x.yaml")
    assert shipped.rows == find("omniglot-5w1s")[0].rows


def test_a_recipe_like_none_there_is_or_like_itself_is_refused(tmp_path):
    with pytest.raises(RobustMetaError, match=r"x.yaml:2: like: there is no recipe 'omniglot-5w1'"):
        read("name: x\nlike: omniglot-5w1\n", "x.yaml")
    path = tmp_path / "loop.yaml"
    path.write_text(f"name: x\nlike: {path}\n")
    with pytest.raises(RobustMetaError, match=r"loop.yaml:2: like: names .*loop.yaml, which is like another itself"):
        find(str(path))
    path.write_text(f"  {{'like': {path}, 'name': x}}\n")
    with pytest.raises(RobustMetaError, match=r"loop.yaml:1: like: names .*loop.yaml, which is like another itself"):
        find(str(path))
    for value, problem in (("", "is None; it must be"), ("{name: x}", "it must be"), (f"{'a' * 300}", "cannot read")):
        with pytest.raises(RobustMetaError, match=f"x.yaml:2: like: {problem}".replace("like: it", "like: .*it")):
            read(f"name: x\nlike: {value}\n", "x.yaml")
    with pytest.raises(RobustMetaError, match=r"x.yaml:1: 'name' is missing"):
        read("like: omniglot-5w1s\n", "x.yaml")
    with pytest.raises(RobustMetaError, match=r"x.yaml:3: tset: is not a setting here; did you mean 'test'"):
        read("name: x\nlike: omniglot-5w1s\ntset: {ways: 5}\n", "x.yaml")


def test_another_data_set_to_test_on_is_a_setting_that_older_recipes_have_not(recipe):
    assert recipe.tested_on == recipe.dataset
    assert "dataset" not in recipe.as_dict()["test"]  # or the hash of every recipe there is would change
    across, _ = read(TEXT.replace("seed: 5}", "seed: 5, dataset: {name: folder, size: 28}}"), "x.yaml")
    assert across.tested_on == across.test.dataset == {"name": "folder", "size": 28}
    assert across.hash != recipe.hash
    assert read(across.as_yaml(), "again.yaml")[0] == across
    assert [across.made_by(row) for row in across.rows] == [recipe.made_by(row) for row in recipe.rows]
    assert across.summary == "omniglot -> folder, 3-way 1-shot, Linf eps 0.0313725: maml-natural, ours"
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
    assert recipe.summary == "omniglot, 3-way 1-shot, Linf eps 0.0313725: maml-natural, ours"


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


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("attacks: [", "atacks: [", 5, "atacks: is not a setting here; did you mean 'attacks'?"),
        ("ways: 3, episodes", "way: 3, episodes", 3, "test.way: is not a setting here; did you mean 'ways'?"),
        ("episodes: 20", "episodes: many", 3, "test.episodes: is 'many'; it must be a whole number"),
        ("episodes: 20", "episodes: 1", 3, "test: episodes is 1; an interval needs at least 2"),
        ("eps: 8/255", "eps: 8/0", 4, "threat.eps: is '8/0'; it must be a number, as 0.1 or 8/255"),
        ("eps: 8/255", "eps: 8", 4, "threat: eps is 8; it must lie in [0, 1] pixel units"),
        ("norm: Linf", "norm: L1", 4, "threat: unknown norm 'L1'"),
        ("attacks: [pgd-20, square-1000]", "attacks: 5", 5, "attacks: is 5; it must be a suite, as quick, or a list"),
        ("[0, 1/10]", "0.1", 6, "curve.eps: is 0.1; it must be a list"),
        ("lr: 1e-3", "lr: fast", 8, "training.lr: is 'fast'; it must be a number"),
        ("lr: 1e-3", "lr: 0", 8, "training: lr is 0 and clip 10; both must be above 0"),
        ("lr: 1e-3", "schedule: cosin", 8, "training: unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("lr: 1e-3", "tasks: 0", 8, "training: tasks is 0 and steps 40; they must be at least 1 and 0"),
        ("shots: 5", "shot: 5", 12, "rows.0.training.shot: is not a setting here; did you mean 'shots'?"),
        ("learner: {name: maml, ", "learner: {", 10, "rows.0: its learner needs a 'name'"),
        ("defense: {name: aq, ", "defense: {", 13, "rows.1: its defense needs a 'name'"),
        ("defense: {name: aq, ", "defense: aq # {", 13, "rows.1: its defense is 'aq'; it must be a mapping, or a list"),
        ("defense: {name: aq, ", "defense: [{name: its}, aq] # {", 13, "its defense needs a 'name'; write {name: aq}"),
        ("  - learner: {name: protonet}\n    ", "  - ", 13, "rows.1: 'learner' is missing"),
        ("name: ours", "name: maml-natural", 13, "rows.1: is a second row named 'maml-natural'; give one of them"),
        ("name: ours", "nam: ours", 15, "rows.1.nam: is not a setting here; did you mean 'name'?"),
        ("name: mine\n", "", 1, "'name' is missing"),
        ("name: mine", "name: ../../esc", 1, "the name '../../esc' cannot be that of a file; leave out slashes"),
        ("name: mine", "name: 5", 1, "name: is 5; it must be text"),
        ("name: mine", "name: [mine", 2, "expected ',' or ']'"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(old, new, line, part):
    assert TEXT.count(old) == 1
    with pytest.raises(RobustMetaError) as caught:
        read(TEXT.replace(old, new), "dir/mine.yaml")
    message = str(caught.value)
    assert message.startswith(f"dir/mine.yaml:{line}: ")
    assert part in message
    assert "\n" not in message


def test_a_recipe_needs_a_row():
    with pytest.raises(RobustMetaError, match=r"^r.yaml:2: rows: is empty; a recipe needs at least one learner"):
        read("name: x\nrows: []\n", "r.yaml")


def test_two_rows_of_one_default_name_are_refused():
    with pytest.raises(RobustMetaError, match=r"r.yaml:4: rows.1: is a second row named 'protonet-natural'"):
        read("name: x\nrows:\n  - learner: {name: protonet}\n  - learner: {name: protonet}\n", "r.yaml")


def test_an_unknown_row_is_answered_with_the_nearest(recipe):
    with pytest.raises(RobustMetaError, match=r"unknown row 'our'; did you mean 'ours'\?"):
        recipe.row("our")


def test_a_recipe_is_found_by_path_by_name_and_by_default(tmp_path, recipe):
    (tmp_path / "r.yaml").write_text(TEXT)
    assert find(str(tmp_path / "r.yaml"))[0] == recipe
    assert find(None)[0] == find("glyphs-5w1s")[0]
    assert find("omniglot-5w1s")[0].dataset == {"name": "omniglot", "rotations": True}


@pytest.mark.parametrize("name", ["nope", "__init__.py", "__pycache__", "."])
def test_what_is_no_recipe_is_answered_with_those_there_are(name):
    with pytest.raises(RobustMetaError, match=r"nor one of the package's \(defenses-omniglot, glyphs-5w1s, lea"):
        find(name)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RobustMetaError, match=r"cannot read the recipe .*r.yaml: .*; give a YAML file in UTF-8"):
        find(str(tmp_path / "r.yaml"))


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
