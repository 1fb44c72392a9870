import re

import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.page import report_page
from robustmeta.report.picture import Picture
from robustmeta.report.table import as_markdown, comparison

RECIPE = "data: {name: glyphs}\nways: 5\n"


def page(results, **options):
    return report_page(results, RECIPE, "robustmeta bench --seed 1", "a machine of 2 cores", **options)


def test_says_what_was_measured_and_how(results):
    text = page(results)
    assert text.startswith("# glyphs, 5-way 1-shot: accuracy under attack (Linf, eps 0.1)\n")
    for said in (
        "95% Student t interval over 40 episodes",
        "15 queries a class from the test split of glyphs (seed 1)",
        "Guessing gives 20%",
        "the suite: fgsm, pgd-20, pgd-20-margin.",
        "`worst` is taken query by query",
        "robustmeta 0.1.0, torch 2.13, torchattacks 3.5.1",
        "Config: `0012345`",
        "fgsm `12e4567`",
        "Machine: a machine of 2 cores",
        "```sh\nrobustmeta bench --seed 1\n```",
        f"```yaml\n{RECIPE}```",
    ):
        assert said in text


def test_pictures_stand_where_they_are_read(results):
    pictures = [Picture(name, f"The {name}", f"Of {name}.", None) for name in ("pareto", "curve", "gallery")]
    text = page(results, pictures=pictures)
    places = [text.index(part) for part in (
        "## Accuracy, %", "![The pareto. Of pareto.](pareto.png)", "![The curve. Of curve.](curve.png)", "## Drop",
        "## The gallery\n\n![The gallery. Of gallery.](gallery.png)\n\nOf gallery.", "## Learners",
    )]  # fmt: skip
    assert places == sorted(places)


def test_names_are_text_in_tables_pictures_and_flags(results):
    results = results.assign(learner=results["learner"].replace("maml", "<img src=x>`"), flags="R03")
    picture = Picture("steps", "Steps", "The best: <img src=x>` / aq.", None)
    marked = page(results, pictures=[picture]).split("## Provenance")[0]
    assert marked.count(r"\<img src=x>\` / aq") >= 4
    assert marked.count("<img") == marked.count(r"\<img")


def test_holds_the_comparison_and_the_paired_drops(results):
    text = page(results)
    assert as_markdown(comparison(results)) in text
    drops = as_markdown(comparison(results[results["attack"] != "clean"], "drop", "drop_ci95"))
    assert drops in text


def test_every_accuracy_has_its_interval(results):
    tables = page(results).split("## Learners")[0]
    cells = [cell for cell in re.findall(r"\|\s+(\d[^|]*?)\s+(?=\|)", tables) if cell not in "1234"]  # but ranks
    assert len(cells) == 4 * (5 + 4)
    assert all(re.fullmatch(r"\d+\.\d ± \d+\.\d", cell) for cell in cells)


def test_settings_of_each_learner(results):
    results.loc[results["defense"] == "aq", "train_steps"] = 900
    results.loc[results["attack"] == "worst", "seconds"] = 5.0  # the sum of the four others
    table = page(results).split("## Learners")[1].split("##")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    assert lines[0] == [
        "learner / defense", "backbone", "norm policy", "order", "train ways", "train shots", "train steps",
        "evaluation, s",
    ]  # fmt: skip
    assert lines[2] == ["maml / natural", "conv4", "running", "second", "5", "1", "300", "5.0"]
    assert lines[5] == ["protonet / aq", "conv4", "running", "-", "5", "1", "900", "5.0"]


def test_flags_are_explained_where_there_are_any(results):
    assert "## Flags" not in page(results)
    results.loc[results["learner"] == "protonet", "flags"] = "transductive"
    results.loc[1, "flags"] = "R03"
    text = page(results, meanings={"transductive": "Queries share statistics."})
    assert "- `transductive`: Queries share statistics. Raised by protonet / natural; protonet / aq." in text
    assert "- `R03`: raised by maml / natural under fgsm." in text


def test_a_stand_in_is_explained_by_itself(results):
    results.loc[2, "flags"] = "stand-in:pgd-20-margin"
    line = page(results).split("## Flags\n\n")[1].splitlines()[0]
    assert line.startswith("- `stand-in:pgd-20-margin`: the attack does not fit the tasks")
    assert line.endswith("Raised by maml / natural under pgd-20.")


def test_largest_perturbation_is_told_where_it_was_measured(results):
    assert "Largest" not in page(results)
    text = page(results.assign(largest=[0.0, 0.1, 0.1, 0.09, 0.1] * 4))
    assert "- Largest perturbation measured: 0.1 in Linf" in text


def test_clean_alone_has_no_attack_to_speak_of(results):
    text = page(results[results["attack"] == "clean"])
    for absent in ("Drop from clean", "the suite", "`worst`", "!["):
        assert absent not in text


def test_one_episode(results):
    text = page(results.assign(episodes=1, ci95=float("nan"), drop_ci95=float("nan")))
    assert "over 1 episode:" in text
    assert "± n/a" in text


def test_a_recipe_cannot_break_out_of_its_block(results):
    text = report_page(results, "note: '```'\n", "true", "a machine")
    assert text.endswith("````yaml\nnote: '```'\n````\n")


def test_works_without_the_columns_of_provenance(results):
    required = results.loc[:, :"flags"]
    assert "Versions" not in page(required)


def test_refuses_two_settings(results):
    results.loc[3, "eps"] = 0.2
    with pytest.raises(RobustMetaError, match=r"mix eps 0\.1, 0\.2"):
        page(results)


def certified(results: pd.DataFrame) -> pd.DataFrame:
    """The same learners, smoothed, on fewer episodes and under another threat."""
    rows = results[results["attack"].isin(["clean", "worst"])].assign(
        target="certified", threat_norm="L2", episodes=20, sigma=0.25, selection=100, samples=1000, alpha=0.001
    )
    rows["eps"] = rows["attack"].map({"clean": 0.0, "worst": 0.5})
    rows["attack"] = rows["attack"].map({"clean": "smoothed", "worst": "certified-L2-0.5"})
    return rows.assign(abstained=[0.01 * place for place in range(len(rows))])


def test_certified_columns_stand_beside_the_attacks_and_are_explained(results):
    results = results.assign(row=results["learner"] + "-" + results["defense"], target="query")
    both = pd.concat([results, certified(results)], ignore_index=True)
    page = report_page(both, "a: 1", "robustmeta bench", "here")
    head = next(line for line in page.splitlines() if line.startswith("| learner / defense"))
    assert [cell.strip() for cell in head.split("|")[-5:-1]] == ["worst", "smoothed", "certified-L2-0.5", "rank"]
    assert "on the first 20 episodes, are of the learner under Gaussian noise, sigma 0.25: its answer over 100" in page
    assert "whether 1000 draws more prove it" in page
    assert "abstained on 0.0 to 6.0% of the queries" in page
    drops = page.partition("## Drop from clean")[2].partition("##")[0]
    assert "certified" not in drops
    assert "(Linf, eps 0.1)" in page.splitlines()[0]
    assert "smoothed" not in report_page(results, "a: 1", "robustmeta bench", "here")


def test_gains_over_adversarial_querying_stand_in_a_table_of_their_own(results, episodes):
    named = [frame.assign(row=frame["learner"] + "-" + frame["defense"]) for frame in (results, episodes)]
    told = named[0].assign(variant=named[0]["row"], train_seed=0)
    page = report_page(told, "a: 1", "robustmeta bench", "here", episodes=named[1])
    section = page.partition("## Minus adversarial querying")[2].partition("\n## ")[0]
    assert "| protonet-natural |" in section
    assert "\n| protonet-aq " not in section
    assert "## Minus adversarial querying" not in report_page(told, "a: 1", "robustmeta bench", "here")
