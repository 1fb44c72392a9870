"""Recipe files: found, read, like one another, and the line of every kind of mistake."""

from dataclasses import replace

import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.recipe import Recipe, Row
from robustmeta.recipe_file import find, read
from robustmeta.sections import Test
from tests.test_recipe import TEXT


@pytest.fixture
def recipe() -> Recipe:
    return read(TEXT, "mine.yaml")[0]


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


def test_rows_of_the_other_recipe_are_taken_by_name(recipe, tmp_path):
    path = tmp_path / "first.yaml"
    path.write_text(recipe.as_yaml())
    last, first = recipe.rows[-1], recipe.rows[0]
    own = "{name: mine, learner: {name: r2d2}}"
    other, _ = read(f"name: other\nlike: {path}\nrows: [{last.name}, {own}, {first.name}]\n", "other.yaml")
    assert list(other.rows) == [last, Row({"name": "r2d2"}, name="mine"), first]
    assert other.made_by(last) == recipe.made_by(last)
    with pytest.raises(RobustMetaError, match=rf"x.yaml:5: rows.1: unknown row 'no-{first.name}'; did you mean"):
        read(f"name: x\nlike: {path}\nrows:\n  - {first.name}\n  - no-{first.name}\n", "x.yaml")
    with pytest.raises(RobustMetaError, match=r"mine.yaml:\d+: rows.0: is 'protonet'; it must be a mapping"):
        read(TEXT[: TEXT.index("rows:")] + "rows: [protonet]\n", "mine.yaml")


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
