"""What the torchattacks adapter refuses, each in one line that says what would be right."""

import pytest

from robustmeta.attacks.base import Threat
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.errors import RobustMetaError

MIFGSM = {"steps": 10, "step_size_over_eps": 0.1}
LINF, L2 = Threat("Linf", 0.1), Threat("L2", 1.0)


@pytest.mark.parametrize(
    ("method", "threat", "parameters", "part"),
    [
        ("MIFGMS", LINF, MIFGSM, "did you mean 'MIFGSM'"),
        ("CW", LINF, {"steps": 5}, "is an L2 attack"),
        ("CW", L2, {"steps": 5, "step_size_over_eps": 0.1}, "unknown parameter"),
        ("CW", L2, {"steps": 5, "c": "1"}, "of type int"),
        ("EADL1", L2, {"max_iterations": 9}, "at least 10"),
        ("PGDRS", LINF, {"steps": 5, "alpha": 0.1, "noise_type": "gaussian"}, "did you mean 'guassian'"),
        ("GN", LINF, {}, "noise-100"),
        ("AutoAttack", LINF, {}, "fixes 100"),
        ("MIFGSM", L2, MIFGSM, "Linf attack"),
        ("PGDL2", LINF, {"steps": 5, "alpha": 0.1}, "L2 attack"),
        ("APGD", LINF, {"loss": "ce"}, "needs 'steps'"),
        ("Square", LINF, {}, "needs 'n_queries'"),
        ("MIFGSM", LINF, {"steps": 5}, "needs its step size"),
        ("MIFGSM", LINF, {"steps": 5, "alpha": 0.1, "step_size_over_eps": 1.0}, "either 'alpha'"),
        ("APGD", LINF, {"steps": 5, "step_size_over_eps": 1.0}, "unknown parameter"),
        ("APGD", LINF, {"step": 5}, "did you mean 'steps'"),
        ("APGD", LINF, {"steps": 5, "eps": 0.1}, "given by the threat"),
        ("APGD", LINF, {"steps": 5, "seed": 0}, "given by the seeds"),
        ("APGDT", LINF, {"steps": 5, "n_classes": 5}, "given by the ways"),
        ("APGD", LINF, {"steps": 5.0}, "of type int"),
        ("APGD", LINF, {"steps": True}, "of type int"),
        ("APGD", LINF, {"steps": 0}, "above 0"),
        ("MIFGSM", LINF, {"steps": 5, "alpha": float("nan")}, "above 0"),
        ("APGD", LINF, {"steps": 5, "loss": "dlrr"}, "did you mean 'dlr'"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(method, threat, parameters, part) -> None:
    with pytest.raises(RobustMetaError, match=part) as caught:
        TorchAttack(method, threat, parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "parameters", "ways"),
    [
        ("APGD", {"steps": 20, "loss": "dlr"}, 2),
        ("UPGD", {"steps": 2, "alpha": 0.1, "loss": "dlr"}, 2),
        ("APGDT", {"steps": 2}, 3),
        ("Jitter", {"steps": 2, "alpha": 0.1}, 2),
    ],
)
def test_too_few_ways_are_refused(problem, method, parameters, ways) -> None:
    p = problem("Linf", ways=ways)
    with pytest.raises(RobustMetaError, match=f"{ways + 1} ways or more, these have {ways}"):
        TorchAttack(method, LINF, parameters)(p.classifier, p.images, p.labels)
