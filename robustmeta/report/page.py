"""report.md: the comparison table beside the recipe and the command that made it."""

import re
from collections.abc import Mapping

import pandas as pd

from robustmeta.audit import CODES
from robustmeta.report.findings import audit_lines
from robustmeta.report.paired import differences
from robustmeta.report.rows import CERTIFIED, attacked, labelled
from robustmeta.report.setting import Setting
from robustmeta.report.table import CLEAN, TARGETS, WORST, as_markdown, attack_names, comparison, flags

VERSIONS = ("robustmeta", "torch", "torchattacks")
MEANINGS = {
    "stand-in": "the attack does not fit the tasks (commonly too few ways), and the one after the colon ran instead",
    **CODES,
}
"""What a flag says, by its code or the part of it before a colon."""
AUDITED = (
    "Every check looks for evidence that a number above is too good. What raised a code, why it matters and what to "
    "do stands in docs/audit.md. A row that fails one is not ranked."
)
GAINED = (
    "Accuracy minus that of the same learner and backbone under `aq`, averaged over the training seeds that both have, "
    "episode by episode: the intervals are of paired values over episodes, and say nothing of other seeds."
)
SMOOTHED = (
    "`smoothed` and `certified-L2-r`, on the first {episodes} episodes, are of the learner under Gaussian noise, sigma "
    "{sigma}: its answer over {selection} draws, and whether {samples} draws more prove it for every difference of L2 "
    "length r or less, but for a probability of {alpha} a query. An abstention counts as an error; learners abstained "
    "on {least:.1f} to {most:.1f}% of the queries. This is a threat of its own and no part of `worst`."
)
SETTINGS = {
    "backbone": "backbone",
    "norm_policy": "norm policy",
    "order": "order",
    "train_ways": "train ways",
    "train_shots": "train shots",
    "train_steps": "train steps",
}


def report_page(
    results: pd.DataFrame,
    recipe_text: str,
    command: str,
    machine: str,
    *,
    picture: str | None = "curve.png",
    meanings: Mapping[str, str] | None = None,
    audit: pd.DataFrame | None = None,
    episodes: pd.DataFrame | None = None,
) -> str:
    """The text of report.md, in Markdown.

    results: the rows of one setting. recipe_text: the YAML as run. command: the shell line that made the rows.
    machine: what it ran on, in one line. picture: the curve's address, or None where no curve was drawn.
    meanings: what each flag says, by its code or the part before a colon; beside, or in place of, `MEANINGS`.
    audit: the rows of audit.csv, if there was an audit. episodes: those of episodes.csv, for paired differences.
    Raises `RobustMetaError` for missing columns, no rows, or rows of more than one setting.
    """
    setting = Setting.of(results)
    title = f"# {setting.tasks}: accuracy under attack ({setting.budget})"
    parts = [title, _reading(results, setting), "## Accuracy, %", as_markdown(comparison(results))]
    if picture:
        parts.append(f"![Accuracy against eps, one line a learner, with 95% intervals]({picture})")
    if set(results["attack"]) != {CLEAN}:
        parts += ["## Drop from clean, percentage points", _drops(results)]
    gained = pd.DataFrame() if episodes is None else differences(results, episodes)
    if not gained.empty:
        parts += ["## Minus adversarial querying, percentage points", GAINED, as_markdown(gained)]
    parts += ["## Learners", as_markdown(_settings(results)), *_flags(results, MEANINGS | dict(meanings or {}))]
    if audit is not None and not audit.empty:
        parts += ["## Audit", AUDITED, _block("\n".join(audit_lines(audit)), "text")]
    parts += [
        "## Provenance",
        _provenance(results, setting, machine),
        _block(command, "sh"),
        _block(recipe_text, "yaml"),
    ]
    return "\n\n".join(parts) + "\n"


def _reading(results: pd.DataFrame, setting: Setting) -> str:
    targets = results.drop_duplicates("attack").set_index("attack").get("target", pd.Series(dtype=str)).to_dict()
    suite = [name for name in attack_names(results) if targets.get(name, "query") == "query" and name != CLEAN]
    suite = [name for name in suite if name != WORST]
    support = [name for name in attack_names(results) if targets.get(name) in TARGETS]
    text = (
        f"Mean accuracy ± half-width of its 95% Student t interval over {setting.episodes} "
        f"{'episode' if setting.episodes == 1 else 'episodes'}: {setting.ways}-way {setting.shots}-shot tasks with "
        f"{setting.queries} {'query' if setting.queries == 1 else 'queries'} a class from the {setting.split} split "
        f"of {setting.dataset} (seed {setting.seed}), the same for every row. Guessing gives "
        f"{100 * setting.chance:.3g}%."
    )
    if suite:
        text += (
            f" Each attack moves the queries by at most eps = {setting.eps_text} in {setting.threat_norm}, inside "
            f"[0, 1], against the adapted classifier; the suite: {', '.join(suite)}. Under an attack, a query "
            "counts as right only if it is right clean too."
        )
    if WORST in set(results["attack"]):
        text += (
            " `worst` is taken query by query: a query counts as right only if it is right clean and under every "
            "attack, so it is never above the lowest number of its row."
        )
    if "autoattack" in set(results.get("suite", ())):
        text += (
            " The suite is AutoAttack at the reference's settings (Croce & Hein, 2020), ways-aware: each attack meets "
            "only the queries that those before it left right, and its column counts what it left."
        )
        if results["flags"].fillna("").str.contains("stand-in").any():
            text += " Attacks that need more ways than the tasks have were stood in for, as the flags say."
    if support:
        text += (
            f" Attacks on the support ({', '.join(support)}) move a share of its images, each by at most eps, before "
            "the learner adapts; every query is judged under a support poisoned without it. They are a threat of their "
            "own and no part of `worst`. A swap puts other images into the support, which costs a little by itself."
        )
    return text + _smoothing(results)


def _smoothing(results: pd.DataFrame) -> str:
    """What the certified columns say, and how often nothing was said; empty where there are none."""
    if "target" not in results.columns or CERTIFIED not in set(results["target"]):
        return ""
    rows = results[results["target"] == CERTIFIED]
    said = {name: _distinct(rows[name]) for name in ("episodes", "sigma", "selection", "samples", "alpha")}
    silent = 100 * rows.drop_duplicates("row")["abstained"]
    return " " + SMOOTHED.format(**said, least=silent.min(), most=silent.max())


def _drops(results: pd.DataFrame) -> str:
    moved = attacked(results)
    table = comparison(moved[moved["attack"] != CLEAN].drop(columns="flags"), "drop", "drop_ci95")
    return f"Clean minus attacked, episode by episode, so the intervals are of paired values.\n\n{as_markdown(table)}"


def _settings(results: pd.DataFrame) -> pd.DataFrame:
    shown = {column: name for column, name in SETTINGS.items() if column in results.columns}
    rows = {}
    for label, group in labelled(results).groupby("label", sort=False):
        cells = {name: _distinct(group[column]) for column, name in shown.items()}
        for column, title in (("forwards", "forwards"), ("backwards", "backwards")):
            if column in group.columns:
                cells[title] = f"{_total(group, column):.0f}"
        if "seconds" in group.columns:
            cells["evaluation, s"] = f"{_total(group, 'seconds'):.1f}"
        rows[label] = cells
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis("learner / defense").loc[:, (frame != "-").any()]


def _total(group: pd.DataFrame, cost: str) -> float:
    """Spent on a learner's rows: all of them but `worst`, whose cost is that of others."""
    return float(group.loc[group["attack"] != WORST, cost].sum())


def _flags(results: pd.DataFrame, meanings: Mapping[str, str]) -> list[str]:
    raised: dict[str, list[str]] = {}
    for label, codes in flags(labelled(results)).items():
        for code, attacks in codes.items():
            raised.setdefault(code, []).append(f"{label} under {', '.join(attacks)}" if attacks else label)
    lines = [f"- `{code}`: {_meaning(code, meanings)}{'; '.join(at)}." for code, at in raised.items()]
    return ["## Flags", "\n".join(lines)] if lines else []


def _meaning(code: str, meanings: Mapping[str, str]) -> str:
    meaning = meanings.get(code) or meanings.get(code.partition(":")[0])
    return f"{meaning.rstrip('.')}. Raised by " if meaning else "raised by "


def _provenance(results: pd.DataFrame, setting: Setting, machine: str) -> str:
    versions = [f"{name} {_distinct(results[name])}" for name in VERSIONS if name in results.columns]
    lines = [f"- Versions: {', '.join(versions)}"] if versions else []
    lines += [f"- Config: `{_distinct(results['config'])}`"] if "config" in results.columns else []
    if "card" in results.columns:
        cards = results.loc[~results["attack"].isin([CLEAN, WORST]), ["attack", "card"]].drop_duplicates()
        named = [f"{attack} `{card}`" for attack, card in cards.itertuples(index=False) if card and pd.notna(card)]
        lines += [f"- Attack cards: {', '.join(named)}"] if named else []
    if "largest" in results.columns:
        lines.append(f"- Largest perturbation measured: {results['largest'].max():.4g} in {setting.threat_norm}")
    return "\n".join([*lines, f"- Machine: {machine}", "- Rows: `results.csv`, `episodes.csv`; command and recipe:"])


def _distinct(values: pd.Series) -> str:
    return ", ".join(_plain(value) for value in values.dropna().unique() if value != "") or "-"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _block(text: str, language: str) -> str:
    """A fenced block, whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.strip()}\n{fence}"
