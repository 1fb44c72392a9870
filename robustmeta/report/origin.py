"""Where the rows come from: versions, hashes and the machine."""

import pandas as pd

from robustmeta.report.rows import distinct
from robustmeta.report.setting import Setting
from robustmeta.report.table import CLEAN, WORST

VERSIONS = ("robustmeta", "torch", "torchattacks")


def origin(results: pd.DataFrame, setting: Setting, machine: str) -> dict[str, str]:
    """What made the rows, by its name, in Markdown; what the rows do not say is left out."""
    said: dict[str, str] = {}
    named = [f"{name} {distinct(results[name])}" for name in VERSIONS if name in results.columns]
    if named:
        said["Versions"] = ", ".join(named)
    if "config" in results.columns:
        said["Config"] = f"`{distinct(results['config'])}`"
    if "card" in results.columns:
        cards = results.loc[~results["attack"].isin([CLEAN, WORST]), ["attack", "card"]].drop_duplicates()
        named = [f"{attack} `{card}`" for attack, card in cards.itertuples(index=False) if card and pd.notna(card)]
        if named:
            said["Attack cards"] = ", ".join(named)
    if "largest" in results.columns:
        said["Largest perturbation measured"] = f"{results['largest'].max():.4g} in {setting.threat_norm}"
    return said | {"Machine": machine}
