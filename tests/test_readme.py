"""The tables of the README and of docs/results.md are those of the committed reports; the README's snippets run."""

import re
from pathlib import Path

import pytest
import yaml

from robustmeta.recipe_file import find, read
from robustmeta.report.paired import differences
from robustmeta.report.table import as_markdown, comparison
from robustmeta.report.write import read_rows
from robustmeta.zoo import models

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
TABLES, GAINS = (sorted(set(re.findall(rf"<!-- {what}:(\S+) -->", PAGES))) for what in ("table", "gains"))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_that_of_its_report(name):
    table = as_markdown(comparison(read_rows(ROOT / "reports" / name / "results.csv")))
    assert PAGES.count(f"<!-- table:{name} -->\n{table}\n") == PAGES.count(f"<!-- table:{name} -->")


@pytest.mark.parametrize("name", GAINS)
def test_a_gain_over_adversarial_querying_is_that_of_its_report(name):
    results, episodes = (read_rows(ROOT / "reports" / name / f"{rows}.csv") for rows in ("results", "episodes"))
    table = as_markdown(differences(results, episodes))
    assert PAGES.count(f"<!-- gains:{name} -->\n{table}\n") == PAGES.count(f"<!-- gains:{name} -->")


@pytest.mark.parametrize("name", sorted({*TABLES, *GAINS}))
def test_a_report_is_of_the_recipe_that_ships(name):
    kept = ROOT / "reports" / name / "recipe.yaml"
    assert read(kept.read_text(encoding="utf-8"), str(kept))[0] == find(name)[0]


def test_there_is_a_table_for_the_default_recipe():
    assert {"glyphs-5w1s", "omniglot-5w1s", "omniglot-5w5s"} <= set(TABLES)


def test_the_python_snippet_runs():
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shorter = snippet.replace("steps=2000", "steps=2").replace('attacks="quick", episodes=100', '["fgsm"], episodes=4')
    assert shorter.count("steps=2)") == 1
    names: dict[str, object] = {}
    exec(shorter, names)
    assert list(names["table"]["attack"]) == ["clean", "fgsm", "worst"]
    robust, train = names["learner"], names["train"]
    assert robust.train().loss(train[0]).requires_grad
    images = train[0].query_x[0]
    assert robust.eval().adapt(train[0].support_x, train[0].support_y).task(0)(images).shape == (len(images), 5)


def test_the_recipe_in_it_is_one_and_has_the_defense_that_is_recommended():
    text, defense = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    mine, recommended = read(text, "README.md")[0], find("recommended-omniglot")[0]
    assert mine.name == "mine"
    named = yaml.safe_load(defense)["defense"]
    assert mine.rows[1].defense == named == recommended.row("protonet-aq-pgd-2").defense


def test_the_models_that_snippets_load_exist():
    named = re.findall(r'load_model\("([^"]+)"\)', PAGES)
    assert named
    assert {*named} <= {*models()}
