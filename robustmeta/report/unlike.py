"""In what the rows of a comparison are not alike, and what that means for their numbers."""

import pandas as pd

from robustmeta.report.data_settings import UNKNOWN
from robustmeta.report.reading import short_of_plan
from robustmeta.report.rows import CERTIFIED, CLEAN, WORST, attacked, labelled
from robustmeta.report.setting import written_eps
from robustmeta.report.standing import attacked_by, data_set, elsewhere, settings, smoothing

APART = "These are different quantities: they are neither ranked nor made bold together."
UNLIKE = {
    "data set": APART,
    "split": APART,
    "ways and shots": APART,
    "threat": "Numbers under attack are different quantities, neither ranked nor made bold together.",
    "suite": "`worst` over other attacks is another quantity: it is neither ranked nor made bold together.",
    "episodes": "The rows met other test episodes, so no difference between them is paired.",
    "norm policy": "Transductive learners see all queries of a task at once, which is an easier problem.",
    "audit": "A row without an audit is not ranked, and a full audit finds more.",
    "robustmeta version": "The code that measured is not the same.",
    "torch version": "Numbers may differ in their last digits.",
    "torchattacks version": "The attacks may not be the same.",
}
"""What is compared of the rows, and what follows where it differs."""
TASKS = ("data set", "split", "ways and shots")


def facets(results: pd.DataFrame) -> pd.DataFrame:
    """What each learner was measured on and with, in words: a row a label, a column for each key of `UNLIKE`.

    results: rows with a column `report`, which stands in the first column.
    """
    rows = labelled(results)
    found = {label: _facets(group) for label, group in rows.groupby("label", sort=False)}
    table = pd.DataFrame.from_dict(found, orient="index")
    named = table["suite"].groupby(pd.Series(attacked_by(rows))).transform(lambda each: max(each, key=bool))
    return table.assign(suite=named.mask(named == "", table["attacks"])).drop(columns="attacks")


def warnings(results: pd.DataFrame) -> list[str]:
    """A line for everything in which the rows differ, with which reports have what, and what follows."""
    table = facets(results)
    lines = [
        f"{name} differ{'' if name.endswith('s') else 's'}: {_who(table, name)}. {meaning}"
        for name, meaning in UNLIKE.items()
        if _varies(table[name])
    ]
    return lines + _unknown(table) + _cards(results) + _certificates(results) + _unfinished(results)


def setting_names(results: pd.DataFrame) -> dict[str, str]:
    """For each label what sets it apart from those it is not ranked with, as `5-way 1-shot`; empty if nothing."""
    table, setting = facets(results), pd.Series(settings(labelled(results)))
    if not _varies(setting):
        return dict.fromkeys(table.index, "")
    apart = [name for name in (*TASKS, "threat", "suite") if _varies(table[name])] or ["suite"]
    named = table[apart].agg(", ".join, axis=1).reindex(setting.index)
    clash = setting.groupby(named).transform("nunique") > 1
    numbers = pd.Series(pd.factorize(setting)[0] + 1, setting.index).astype(str)
    return dict(named.mask(clash, named + " (" + numbers + ")"))


def _facets(rows: pd.DataFrame) -> dict[str, str]:
    own = attacked(rows)
    moved = own[own["attack"] != CLEAN]
    first = own.iloc[0].dropna().to_dict()
    names = ", ".join(moved.loc[moved["attack"] != WORST, "attack"])
    one = "query" if first["queries"] == 1 else "queries"
    return {
        "report": str(first["report"]),
        "data set": (data_set(rows) + elsewhere(rows)).iloc[0],
        "split": str(first["split"]),
        "ways and shots": f"{first['ways']}-way {first['shots']}-shot",
        "threat": _threat(moved),
        "suite": str(first.get("suite") or ""),
        "attacks": names or "none",
        "episodes": f"{first['episodes']} of {first['queries']} {one} a class, seed {first['seed']}",
        "norm policy": "transductive" if first["norm_policy"] == "transductive" else "inductive",
        "audit": str(first.get("audit") or "none"),
        **{f"{name} version": str(first.get(name) or "?") for name in ("robustmeta", "torch", "torchattacks")},
    }


def _threat(moved: pd.DataFrame) -> str:
    if moved.empty:
        return "none"
    norm, eps = moved.iloc[0][["threat_norm", "eps"]]
    return f"{norm}, eps {written_eps(str(norm), float(eps))}"


def _who(table: pd.DataFrame, name: str) -> str:
    """Each value with the reports that have it: `1-shot (a, b); 5-shot (some rows of c)`."""
    mixed = {report: _varies(own) for report, own in table.groupby("report")[name]}
    found: dict[str, dict[str, None]] = {}
    for report, value in zip(table["report"], table[name], strict=True):
        found.setdefault(value, {})[f"some rows of {report}" if mixed[report] else report] = None
    return "; ".join(f"{value} ({', '.join(who)})" for value, who in found.items())


def _varies(values: pd.Series) -> bool:
    return len(values.unique()) > 1


def _unknown(table: pd.DataFrame) -> list[str]:
    whose = table.loc[table["data set"].str.contains(UNKNOWN, regex=False), "report"].unique()
    return [f"no recipe.yaml says how the data set of {', '.join(whose)} was set; it may be another."] * bool(
        len(whose)
    )


def _cards(results: pd.DataFrame) -> list[str]:
    if "card" not in results.columns:
        return []
    told = []
    for attack, rows in results[results["card"] != ""].groupby("attack", sort=False):
        if _varies(rows["card"]):
            told.append(f"{attack} is {_who(rows, 'card')}")
    return [f"attack cards differ: {'; '.join(told)}. {UNLIKE['suite']}"] if told else []


def _certificates(results: pd.DataFrame) -> list[str]:
    if "target" not in results.columns:
        return []
    rows = results[results["target"] == CERTIFIED]
    rows = rows.assign(smoothing=smoothing(rows))
    return [f"smoothing differs: {_who(rows, 'smoothing')}. {APART}"] * _varies(rows["smoothing"])


def _unfinished(results: pd.DataFrame) -> list[str]:
    short = short_of_plan(results)
    return [f"not trained to the end: {short}."] if short else []
