from dataclasses import replace

import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.setting import Setting


def test_read_off_the_rows(results):
    setting = Setting.of(results)
    assert setting == Setting("glyphs", "test", 5, 1, 15, 40, 1, "Linf", 0.1)
    assert setting.chance == pytest.approx(0.2)
    assert setting.tasks == "glyphs, 5-way 1-shot"


def test_the_threat_is_that_of_the_attacked_rows(results):
    results.loc[results["attack"] == "clean", ["threat_norm", "eps"]] = ["", 0.0]
    assert Setting.of(results).budget == "Linf, eps 0.1"


def test_rows_of_clean_alone_have_a_setting(results):
    assert Setting.of(results[results["attack"] == "clean"]).eps == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("norm", "eps", "text"),
    [
        ("Linf", 8 / 255, "8/255"),
        ("Linf", 0.03137255, "8/255"),
        ("Linf", 0.1, "0.1"),
        ("L2", 1.0, "1"),
        ("Linf", 0.0, "0"),
    ],
)
def test_eps_as_it_is_written(results, norm, eps, text):
    assert replace(Setting.of(results), threat_norm=norm, eps=eps).eps_text == text


def test_refuses_rows_of_two_settings(results):
    results.loc[0, "shots"] = 5
    with pytest.raises(RobustMetaError, match="mix shots 5, 1"):
        Setting.of(results)


def test_the_norm_is_written_one_way(results):
    texts = [Setting.of(results.assign(threat_norm=norm)).norm_text for norm in ("Linf", "L2", "L1")]
    assert texts == ["L∞", "L₂", "L1"]
