import pandas as pd
import pytest

from robustmeta.report.rows import labelled
from robustmeta.report.standing import elsewhere, quantities, ranks, settings, trusted


def alike(results: pd.DataFrame, **changes: object) -> dict[str, bool]:
    """Whether rows with some columns changed still measure the same, by attack."""
    rows, other = labelled(results), labelled(results.assign(**changes))
    same = quantities(rows) == quantities(other)
    return {attack: bool(own.all()) for attack, own in same.groupby(rows["attack"])}


@pytest.mark.parametrize("changes", [{"dataset": "omniglot"}, {"shots": 5}, {"ways": 20}, {"split": "val"},
                                     {"data": "by characters"}, {"train_dataset": "omniglot"}])  # fmt: skip
def test_other_tasks_are_other_quantities(results, changes):
    assert not any(alike(results, **changes).values())


@pytest.mark.parametrize(
    "changes", [{"eps": 0.2}, {"threat_norm": "L2"}, {"suite": "autoattack"}, {"suite": "of-my-own"}]
)
def test_another_threat_or_suite_leaves_clean_accuracy_what_it_is(results, changes):
    found = alike(results, **changes)
    assert found.pop("clean")
    assert not any(found.values())


@pytest.mark.parametrize("changes", [{"seed": 2}, {"queries": 5}, {"episodes": 50}, {"torch": "9"}, {"suite": "quick"},
                                     {"train_dataset": "glyphs"}, {"config": "1"}])  # fmt: skip
def test_samples_versions_and_the_name_of_a_plain_suite_are_no_part_of_it(results, changes):
    assert all(alike(results, **changes).values())


def test_another_card_changes_its_attack_and_the_worst_case(results):
    card = results["card"].mask(results["attack"] == "fgsm", "0000000")
    assert alike(results, card=card) == {
        "clean": True, "fgsm": False, "pgd-20": True, "pgd-20-margin": True, "worst": False,
    }  # fmt: skip


def test_an_attack_on_the_support_is_no_part_of_the_worst_case(results):
    support = results[results["attack"] == "fgsm"].assign(attack="poison-20", target="support")
    more = pd.concat([results.assign(target="query"), support], ignore_index=True)
    rows, plain = labelled(more), labelled(results)
    assert set(quantities(rows)[rows["attack"] == "worst"]) == set(quantities(plain)[plain["attack"] == "worst"])


def test_certified_accuracy_is_of_its_own_threat_and_of_no_suite(results):
    def measured(**changes: object) -> set[str]:
        proven = results[results["attack"] == "fgsm"].assign(attack="certified-L2-0.5", target="certified")
        smoothing = {"sigma": 0.25, "samples": 1000, "alpha": 0.001, "certificate": "majority", "selection": 100}
        rows = labelled(proven.assign(threat_norm="L2", eps=0.5, **{**smoothing, **changes}))
        return set(quantities(rows))

    assert len(measured(suite="autoattack")) == 1
    assert measured(suite="autoattack") == measured(suite="quick") == measured(selection=50)
    for change in ({"sigma": 0.5}, {"alpha": 0.01}, {"samples": 100}, {"certificate": "embedding"}):
        assert not measured(**change) & measured()


def test_the_same_data_set_set_otherwise_in_training_is_another_task(results):
    known = {"train_dataset": "glyphs", "data": "by b", "train_data": "by b"}
    assert not any(elsewhere(labelled(results.assign(**known))))
    other = labelled(results.assign(**{**known, "train_data": "by a"}))
    assert set(elsewhere(other)) == {" after glyphs (by a)"}
    assert not set(quantities(other)) & set(quantities(labelled(results.assign(**known))))


def test_ranks_are_within_a_setting(results):
    harder = results.assign(eps=results["eps"] * 2, defense=results["defense"] + "-2", accuracy=results["accuracy"] / 2)
    rows = labelled(pd.concat([results, harder], ignore_index=True))
    places = ranks(rows)
    assert len(set(settings(rows).values())) == 2
    for setting in ([name for name in places if name.endswith("-2")], [n for n in places if not n.endswith("-2")]):
        worst = rows[(rows["attack"] == "worst") & rows["label"].isin(setting)].sort_values("accuracy", ascending=False)
        assert [places[label] for label in worst["label"]] == [1, 2, 3, 4]


def test_equal_worst_cases_share_a_place(results):
    tied = results.assign(accuracy=results["accuracy"].mask(results["attack"] == "worst", 0.5))
    assert set(ranks(labelled(tied)).values()) == {1}


def test_a_failed_check_and_no_audit_are_not_trusted(results):
    aq = (results["learner"] == "maml") & (results["defense"] == "aq")
    rows = labelled(results.assign(flags=results["flags"].mask(aq & (results["attack"] == "fgsm"), "G01:fail")))
    assert set(rows.loc[~trusted(rows), "label"]) == {"maml / aq"}
    assert trusted(rows).groupby(rows["label"]).nunique().max() == 1  # all rows of a learner, or none
    assert trusted(labelled(results.assign(flags="S08:warn"))).all()
    rows = labelled(results.assign(audit=results["audit"].mask(aq)))
    assert set(rows.loc[~trusted(rows), "label"]) == {"maml / aq"}
    assert trusted(labelled(results.drop(columns="audit"))).all()
