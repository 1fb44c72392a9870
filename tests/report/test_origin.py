from robustmeta.report.origin import origin
from robustmeta.report.setting import Setting


def test_what_made_the_rows(results):
    results["largest"] = 0.10000002
    assert origin(results, Setting.of(results), "m") == {
        "Versions": "robustmeta 0.1.0, torch 2.13, torchattacks 3.5.1",
        "Config": "`0012345`",
        "Attack cards": "fgsm `12e4567`, pgd-20 `12e4567`, pgd-20-margin `12e4567`",
        "Largest perturbation measured": "0.1 in Linf",
        "Machine": "m",
    }


def test_what_the_rows_do_not_say_is_left_out(results):
    rows = results.drop(columns=["config", "card", "torch", "torchattacks", "robustmeta"])
    assert origin(rows, Setting.of(rows), "m") == {"Machine": "m"}
