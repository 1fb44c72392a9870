"""What the numbers of a report are, in words: the paragraphs that its pages share."""

import pandas as pd

from robustmeta.report.rows import CERTIFIED, distinct, labelled
from robustmeta.report.setting import Setting, trained_elsewhere
from robustmeta.report.table import CLEAN, TARGETS, WORST, attack_names

AUDITED = (
    "Every check looks for evidence that a number above is too good. What raised a code, why it matters and what to "
    "do stands {where}. A row that fails one is not ranked."
)
SMOOTHED = (
    "`smoothed` and `certified-L2-r`, on the first {episodes} episodes, are of the learner under Gaussian noise, sigma "
    "{sigma}: its answer over {selection} draws, and whether {samples} draws more prove it for every difference of L2 "
    "length r or less, but for a probability of {alpha} a query. An abstention counts as an error; learners abstained "
    "on {least:.1f} to {most:.1f}% of the queries. This is a threat of its own and no part of `worst`."
)


def reading(results: pd.DataFrame, setting: Setting) -> dict[str, str]:
    """Paragraphs in Markdown on what was measured, each by the word for what it is about.

    What every number is, what the attacks may do, and, where there are any, what other data was trained on, and what
    `worst`, AutoAttack, attacks on the support and the certified columns are.
    """
    targets = results.drop_duplicates("attack").set_index("attack").get("target", pd.Series(dtype=str)).to_dict()
    suite = [name for name in attack_names(results) if targets.get(name, "query") == "query" and name != CLEAN]
    suite = [name for name in suite if name != WORST]
    support = [name for name in attack_names(results) if targets.get(name) in TARGETS]
    said = {}
    said["Numbers"] = (
        f"Mean accuracy ± half-width of its 95% Student t interval over {setting.episodes} "
        f"{'episode' if setting.episodes == 1 else 'episodes'}: {setting.ways}-way {setting.shots}-shot tasks with "
        f"{setting.queries} {'query' if setting.queries == 1 else 'queries'} a class from the {setting.split} split "
        f"of {setting.dataset} (seed {setting.seed}), the same for every row. Guessing gives "
        f"{100 * setting.chance:.3g}%."
    )
    if trained := trained_elsewhere(results):
        said["Training data"] = (
            f"The learners were trained on {trained} and meet {setting.dataset} only in the test, its images fitted to "
            "the shape of those they know."
        )
    if short := short_of_plan(results):
        said["Training budget"] = (
            f"Less than the recipe asks for: {short}. Those numbers are of the learners as they stood there; "
            "the command that began their training goes on with it."
        )
    if suite:
        said["Threat"] = (
            f"Each attack moves the queries by at most eps = {setting.eps_text} in {setting.threat_norm}, inside "
            f"[0, 1], against the adapted classifier; the suite: {', '.join(suite)}. Under an attack, a query "
            "counts as right only if it is right clean too."
        )
    if WORST in set(results["attack"]):
        said["Worst case"] = (
            "`worst` is taken query by query: a query counts as right only if it is right clean and under every "
            "attack, so it is never above the lowest number of its row."
        )
    if "autoattack" in set(results.get("suite", ())):
        autoattack = (
            "The suite is AutoAttack at the reference's settings (Croce & Hein, 2020), ways-aware: each attack meets "
            "only the queries that those before it left right, and its column counts what it left."
        )
        if results["flags"].fillna("").str.contains("stand-in").any():
            autoattack += " Attacks that need more ways than the tasks have were stood in for, as the flags say."
        said["AutoAttack"] = autoattack
    if support:
        said["Support"] = (
            f"Attacks on the support ({', '.join(support)}) move a share of its images, each by at most eps, before "
            "the learner adapts; every query is judged under a support poisoned without it. They are a threat of their "
            "own and no part of `worst`. A swap puts other images into the support, which costs a little by itself."
        )
    if CERTIFIED in set(results.get("target", ())):
        said["Certified"] = _smoothing(results)
    return said


def trained_shares(results: pd.DataFrame) -> pd.Series:
    """How much of its planned outer steps each row was trained for, in whole %, by label; 100 where nothing is said."""
    rows = labelled(results).drop_duplicates("label").set_index("label")
    if "planned_steps" not in rows.columns:
        return pd.Series(100, rows.index)
    return (100 * rows["train_steps"] // rows["planned_steps"]).where(rows["train_steps"] < rows["planned_steps"], 100)


def short_of_plan(results: pd.DataFrame) -> str:
    """The rows trained for fewer outer steps than their recipe says, in words; empty where there are none."""
    shares = trained_shares(results)
    return "; ".join(
        f"{'all rows' if len(group) == len(shares) else ', '.join(group.index)} trained for {share:.0f}% of their "
        "outer steps"
        for share, group in shares[shares < 100].groupby(shares)
    )


def _smoothing(results: pd.DataFrame) -> str:
    """What the certified columns say, and how often nothing was said."""
    rows = results[results["target"] == CERTIFIED]
    said = {name: distinct(rows[name]) for name in ("episodes", "sigma", "selection", "samples", "alpha")}
    silent = 100 * rows.drop_duplicates("row")["abstained"]
    return SMOOTHED.format(**said, least=silent.min(), most=silent.max())
