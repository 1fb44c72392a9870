"""A page of made-up rows, with findings of every verdict, and a Chromium to look at it with."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustmeta.report.figures import figures
from robustmeta.report.web import html_page

RECIPE = "name: a </script><script>alert(1)</script> & $title\nways: 5\n"
COMMAND = "robustmeta bench 'a b' --seed 1"
WRITTEN: list[str] = []
"""The page of every test, which is the same: to draw its figures takes a second."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def audit() -> pd.DataFrame:
    found = [
        ("maml", "natural", "B01", "pass", "fgsm", "inside by 1e-8"),
        ("maml", "aq", "G06", "warn", "", "5 passes differ by 0.1"),
        ("protonet", "aq", "S08", "fail", "pgd-20", "9 of 40 queries"),
        ("protonet", "natural", "S08", "pass", "pgd-20", "0 of 40 queries"),
    ]
    columns = ["learner", "defense", "code", "verdict", "subject", "text"]
    return pd.DataFrame(found, columns=columns).assign(evidence=0.5, threshold=0.1)


@pytest.fixture
def flagged(results: pd.DataFrame) -> pd.DataFrame:
    """The rows with the flags that the audit raised: protonet / aq, the best, is not ranked."""
    failed = (
        (results["learner"] == "protonet") & (results["defense"] == "aq") & results["attack"].isin(["pgd-20", "worst"])
    )
    warned = (results["learner"] == "maml") & (results["defense"] == "aq")
    return results.assign(flags=failed.map({True: "S08:fail", False: ""}) + warned.map({True: "G06:warn", False: ""}))


@pytest.fixture
def page(flagged, episodes, curve, audit) -> str:
    if not WRITTEN:
        pictures = figures(flagged, episodes, curve)
        beside = {"results.csv": flagged.to_csv(index=False), "recipe.yaml": RECIPE}
        WRITTEN.append(
            html_page(
                flagged, RECIPE, COMMAND, "a machine", pictures=pictures, audit=audit, episodes=episodes, beside=beside
            )
        )
    return WRITTEN[0]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window; skips where it, or its driver, is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, of robustmeta[test], is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the PATH: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, page, tmp_path) -> Iterator[Callable[..., Any]]:
    """Opens the page in a context of these settings; fails afterwards if it asked for or complained of anything."""
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    contexts, asked, complaints = [], [], []

    def visit(**settings: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | settings)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(5000)
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto((tmp_path / "report.html").as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(Path(tmp_path).as_uri()) and url != "data:,"] == []
    assert complaints == []
