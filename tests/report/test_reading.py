from robustmeta.report.reading import reading, short_of_plan
from robustmeta.report.setting import Setting


def read(results):
    return reading(results, Setting.of(results))


def test_a_paragraph_for_each_thing_there_is(results):
    assert list(read(results)) == ["Numbers", "Threat", "Worst case"]
    assert list(read(results[results["attack"] == "clean"])) == ["Numbers"]
    results["target"] = results["attack"].map({"pgd-20": "support"}).fillna("query")
    assert list(read(results.assign(suite="autoattack"))) == [
        "Numbers", "Threat", "Worst case", "AutoAttack", "Support",
    ]  # fmt: skip


def test_says_what_was_trained_on_where_it_is_another_data_set(results):
    assert "Training data" not in read(results.assign(train_dataset="glyphs"))
    said = read(results.assign(train_dataset="omniglot"))
    assert said["Training data"].startswith("The learners were trained on omniglot and meet glyphs only in the test")


def test_attacks_on_the_support_are_no_part_of_the_suite(results):
    results["target"] = results["attack"].map({"pgd-20": "support"}).fillna("query")
    said = read(results)
    assert "the suite: fgsm, pgd-20-margin." in said["Threat"]
    assert "Attacks on the support (pgd-20)" in said["Support"]


def test_says_so_where_attacks_were_stood_in_for(results):
    results["suite"] = "autoattack"
    assert "stood in for" not in read(results)["AutoAttack"]
    results.loc[results["attack"] == "fgsm", "flags"] = "stand-in:pgd-50"
    assert "stood in for" in read(results)["AutoAttack"]


def test_says_how_far_training_went_where_it_has_not_ended(results):
    assert "Training budget" not in read(results)  # an older report, which says nothing of it
    assert short_of_plan(results.assign(planned_steps=300)) == ""
    said = "all rows trained for 9% of their outer steps"
    assert short_of_plan(results.assign(planned_steps=3001)) == said
    assert said in read(results.assign(planned_steps=3001))["Training budget"]
    natural, protonet = results["defense"] == "natural", results["learner"] == "protonet"
    planned = 300 + 301 * natural + 100 * (protonet & ~natural)
    assert short_of_plan(results.assign(planned_steps=planned)) == (
        "maml / natural, protonet / natural trained for 49% of their outer steps; "
        "protonet / aq trained for 75% of their outer steps"
    )
