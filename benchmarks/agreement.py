"""What must hold before a time means anything: the same meta-gradients, and attacks that succeed as often."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.contenders import ours_of, peers_of
from benchmarks.peers.base import Contender
from benchmarks.setting import Setting
from robustmeta.episodes import Episodes
from robustmeta.learners.base import right_of

SINGLE, DOUBLE = 1e-5, 1e-9
"""The largest relative difference of meta-gradients, in float32 and in float64."""
SUCCESS = 0.01
"""The largest difference between the shares of queries that the attacks turn."""
EASIER = 8
"""Attacks are also compared at eps over this, where they do not turn everything."""


class DisagreementError(AssertionError):
    """Contenders do not compute the same thing, so their times are not to be compared."""


@dataclass(frozen=True)
class Agreed:
    """What was found, by contender.

    apart: how far its float32 meta-gradient is from plain torch's in float32. rounding: from plain torch's in float64,
    which is what float32 costs it. double: in float64, from plain torch's. The last two are there where 1e-5 in
    float32 was not to be had. success: the shares of queries that the attacks turn, by eps.
    """

    apart: dict[str, float]
    rounding: dict[str, float]
    double: dict[str, float]
    success: dict[str, dict[str, float]]

    def lines(self) -> list[str]:
        """The same in words."""
        said = ["meta-gradients, relative distance from plain torch's in float32: " + _listed(self.apart)]
        if self.double:
            said.append(f"float32 does not give {SINGLE:g} here. Each one's distance from the exact gradient (plain")
            said[-1] += " torch in float64): " + _listed(self.rounding)
            said.append(f"in float64, where {DOUBLE:g} is asserted: " + _listed(self.double))
        for eps, shares in self.success.items():
            turned = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
            said.append(f"share of queries turned at eps {eps}: {turned}")
        return said


def _listed(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {figure:.1e}" for name, figure in figures.items())


def distance(found: dict[str, Tensor], reference: dict[str, Tensor]) -> float:
    """||g - h|| / ||h|| over all weights; raises `DisagreementError` if the names differ."""
    if found.keys() != reference.keys():
        raise DisagreementError(f"gradients of {sorted(found)} against {sorted(reference)}")
    apart = sum((found[name].double() - h.double()).square().sum() for name, h in reference.items())
    return float((apart / sum(h.double().square().sum() for h in reference.values())) ** 0.5)


def gradients(setting: Setting, episodes: Episodes, tasks: int) -> dict[str, dict[str, Tensor]]:
    """Each contender's meta-gradient by its name, plain torch's first, the same perturbed queries fed to all."""
    batch = setting.batch(episodes, 0, tasks)
    # Drawn in float32 whatever the setting's type, so that all types meet the same queries.
    noise = torch.rand(batch.query_x.shape, generator=torch.Generator().manual_seed(0)).sub(0.5).sign()
    fed = (batch.query_x + setting.eps * noise.to(batch.query_x)).clamp(0, 1)
    return {each.name: each(setting).step(batch, fed) for each in (*peers_of(setting), *ours_of(setting))}


def distances(found: dict[str, dict[str, Tensor]], reference: dict[str, Tensor]) -> dict[str, float]:
    """`distance` of each contender's gradients from a reference."""
    return {name: distance(gradient, reference) for name, gradient in found.items()}


def success(contender: Contender, episodes: Episodes, tasks: int, at_once: int = 4) -> float:
    """The share of queries that robustmeta's classifiers get wrong as the contender attacks them."""
    setting, wrong, seen = contender.setting, 0, 0
    learner = setting.ours()
    for first in range(0, tasks, at_once):
        batch = setting.batch(episodes, first, min(at_once, tasks - first))
        moved = contender.attacked(batch)
        classifier = learner.adapt(batch.support_x, batch.support_y).detach()
        right = right_of(classifier, moved, batch.query_y)
        wrong, seen = wrong + int((~right).sum()), seen + right.numel()
    return wrong / seen


def agreed(setting: Setting, episodes: Episodes, tasks: int = 2, scored: int = 16) -> Agreed:
    """Assert agreement on the first `tasks` tasks (gradients) and the first `scored` ones (attacks).

    Random starts are off, so that all attacks begin at the same images. Where float32 cannot give 1e-5 over several
    second-order steps, float64 must give 1e-9, and both figures are reported.
    Raises `DisagreementError`.
    """
    setting = replace(setting, random_start=False)
    single = gradients(setting, episodes, tasks)
    apart = distances(single, next(iter(single.values())))
    rounding, double = {}, {}
    if not max(apart.values()) <= SINGLE:
        precise = gradients(replace(setting, dtype=torch.float64), episodes, tasks)
        reference = next(iter(precise.values()))
        rounding, double = distances(single, reference), distances(precise, reference)
        for name, figure in double.items():
            if not figure <= DOUBLE:
                raise DisagreementError(
                    f"the meta-gradient of {name} is {figure:.1e} from plain torch's in float64; at most {DOUBLE:g}"
                )
    shares = {}
    for eps in (setting.eps, setting.eps / EASIER):
        shares[f"{eps:g}"] = found = {}
        for each in (peers_of(setting)[0], ours_of(setting)[0]):
            found[each.name] = success(each(replace(setting, eps=eps)), episodes, scored)
        if max(found.values()) - min(found.values()) > SUCCESS:
            raise DisagreementError(
                f"shares of queries turned over {scored} tasks at eps {eps:g}: {found}; they may be {SUCCESS:g} apart"
            )
    return Agreed(apart, rounding, double, shares)
