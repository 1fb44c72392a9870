import base64
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from robustmeta.audit import explanations
from robustmeta.errors import RobustMetaError
from robustmeta.report.conduct import conduct
from robustmeta.report.drops import drops
from robustmeta.report.leading import leading
from robustmeta.report.paired import differences
from robustmeta.report.table import comparison
from robustmeta.report.web import html_page

VOID = {"meta", "link", "col", "input", "br"}
DRAWN_VOID = {"path", "use", "rect", "line", "image", "circle"}


class Tree(HTMLParser):
    """Every element of a page, with its attributes and text; raises where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.shut = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        assert "svg" in [name for name, *_ in self.open] or tag in VOID, f"{tag} cannot close itself"
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for *_, text in self.open:
            text.append(data)

    def texts(self, tag):
        return ["".join(text) for name, _, text in self.elements if name == tag]

    def all(self, attribute):
        return [attributes[attribute] for _, attributes, _ in self.elements if attribute in attributes]


def rows(table):
    return [[str(frame) for frame in line] for line in table.reset_index().to_numpy()]


def test_is_well_formed_with_one_title_and_every_inner_link_leading_somewhere(page):
    tree = Tree(page)
    ids = tree.all("id")
    assert len(set(ids)) == len(ids)
    inner = [address[1:] for address in tree.all("href") if address.startswith("#")]
    assert inner
    assert set(inner) | set(tree.all("aria-labelledby")) <= set(ids)
    assert len(tree.texts("h1")) == 1
    assert {"main", "header", "nav", "footer"} <= {name for name, *_ in tree.elements}
    assert tree.elements[0][1] == {"lang": "en"}


def test_asks_for_nothing_outside_itself(page):
    tree = Tree(page)
    (policy,) = [attributes for _, attributes, _ in tree.elements if "http-equiv" in attributes]
    assert policy["content"].split("; ") == [
        "default-src 'none'", "style-src 'unsafe-inline'", "script-src 'unsafe-inline'", "img-src data:",
    ]  # fmt: skip
    addresses = [*tree.all("href"), *tree.all("src"), *re.findall(r"url\(([^)]*)\)", page)]
    held = ("#", "data:")
    assert {address for address in addresses if not address.startswith(held)} == {
        "results.csv",
        "curve.csv",
        "episodes.csv",
    }
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|srcset", page)


def test_holds_the_tables_that_the_markdown_holds(flagged, episodes, page):
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    gained = differences(flagged, episodes)
    frames = [comparison(flagged), drops(flagged), *([] if gained.empty else [gained]), conduct(flagged)]
    assert len(tables) == len(frames)
    assert tables[0].count("<strong>") == leading(flagged).to_numpy().sum() > 0
    assert "<strong>" not in "".join(tables[1:])
    for table, frame in zip(tables, frames, strict=True):
        table = re.sub(r'<span class="tip".*?</span>', "", table)
        tree = Tree(table)
        lines = [["".join(re.split("<[^>]*>", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]
                 for line in re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2])]  # fmt: skip
        assert lines == rows(frame)
        assert len(tree.texts("col")) == 1 + len(frame.columns)


def test_says_who_is_best_of_those_that_fail_no_check(flagged, page):
    best = Tree(page).texts("p")[0]
    ranked = flagged[(flagged["attack"] == "worst") & (flagged["flags"] != "S08:fail")]
    value = 100 * ranked["accuracy"].max()
    assert f"maml / aq, {value:.1f} ±" in best
    assert "The best worst case of 3 rows" in best
    assert comparison(flagged).loc["protonet / aq", "rank"] == "-"


def test_the_head_says_how_far_rows_were_trained_and_by_what_recipe(results):
    def head(rows, recipe="a: 1"):
        page = html_page(rows, recipe, "c", "m")
        return page[page.index("<h1>") : page.index("</dl>")]

    assert "outer steps" not in head(results.assign(planned_steps=300))
    assert "All rows trained for 25% of their outer steps." in head(results.assign(train_steps=75, planned_steps=300))
    first = results["defense"] == "natural"
    some = results.assign(train_steps=300 - 100 * first, planned_steps=300)
    assert "Not every row was trained to its end." in head(some)
    assert "<code>mine &amp; yours</code>" in head(results, "name: mine & yours\nrows: []\n")
    assert "<code>" not in head(results)


def test_says_what_learners_were_trained_on_only_if_it_is_something_else(results):
    assert "trained on" not in html_page(results.assign(train_dataset="glyphs"), "a: 1", "c", "m")
    other = html_page(results.assign(train_dataset="omniglot"), "a: 1", "c", "m")
    assert "<dd>glyphs, test split; trained on omniglot</dd>" in other


def test_the_audit_says_the_worst_first_and_explains_every_code(page):
    section = page[page.index('<section id="audit"') :]
    assert [section.index(f">{name} <span") for name in ("Failed", "Warned", "Passed")] == sorted(
        section.index(f">{name} <span") for name in ("Failed", "Warned", "Passed")
    )
    told = "".join(Tree(section[: section.index("</section>")] + "</section>").texts("section"))
    for code in ("S08", "G06", "B01"):
        assert explanations()[code].why.replace("`", "") in told
    assert "fail: protonet / aq, pgd-20: 9 of 40 queries" in told
    assert "0 of 40" not in told  # what passed of a check that failed elsewhere
    assert "inside by 1e-8 (maml / natural, fgsm)" in told
    assert re.findall(r'<details class="check" id="(\w+)" open>', section) == ["S08", "G06"]
    assert "S14 planted examples found" in told  # of which there is no evidence


def test_flags_are_explained_where_they_stand_and_below(page):
    (link,) = re.findall(r'<a class="flag fail" href="#flag-S08-fail">.*?</a>', page)
    tip = f"no silent success: raised by {explanations()['S08'].raised}"
    assert f'<span class="tip" role="tooltip">{tip}</span>' in link
    said = '<code class="fail">S08:fail</code> no silent success. Raised by protonet / aq under pgd-20, worst. <a href='
    assert f'{said}"#S08">' in page


def test_a_flag_that_is_part_of_another_is_not_marked_inside_it(flagged, episodes):
    flags = flagged["flags"].where(flagged["flags"] == "", "stand-in:pgd-20,stand-in:pgd-20-margin,G06:warn")
    page = html_page(flagged.assign(flags=flags), "a: 1", "c", "m")
    cells = re.findall(r"<td>((?:<a class=\"flag|stand-in).*?)</td>", page)
    assert cells
    for cell in cells:
        links = re.findall(r"<a [^>]*>([^<]*)<", cell)
        assert links == ["stand-in:pgd-20", "stand-in:pgd-20-margin", "G06:warn"]


def test_what_a_user_writes_is_text(results, episodes):
    evil = '<img src=x onerror=alert(1)> "&amp;'
    results = results.assign(learner=results["learner"].replace("maml", evil))
    page = html_page(results, "a: </script><b>$style", "c <i>", evil)
    tree = Tree(page)
    assert not {"img", "i", "b"} & {name for name, *_ in tree.elements}
    assert f"{evil} / natural" in tree.texts("th")
    assert tree.texts("pre") == ["c <i>", "a: </script><b>$style"]
    assert page.count("</script>") == 1


def test_holds_its_files(flagged, page):
    held = dict(re.findall(r'download="([^"]*)" href="data:[^,]*;base64,([^"]*)"', page))
    assert base64.b64decode(held["results.csv"]).decode() == flagged.to_csv(index=False)
    assert list(held) == ["results.csv", "recipe.yaml"]


def test_every_picture_has_its_title_its_caption_and_its_rows(page):
    figures = re.findall(r'<figure id="figure-(\w+)">(.*?)</figure>', page, re.DOTALL)
    assert [name for name, _ in figures] == ["pareto", "curve", "episodes"]
    for name, figure in figures:
        assert figure.count("<svg") == figure.count('role="img"') == 1
        assert re.search(r"<h3>.+</h3>", figure)
        rows = "results" if name == "pareto" else name
        assert f'Rows: <a href="{rows}.csv">' in figure


def test_certified_columns_are_explained(results):
    smoothed = results[results["attack"] == "worst"].assign(
        attack="certified-L2-0.1", target="certified", episodes=10, sigma=0.12, selection=32, samples=500, alpha=0.001,
        abstained=0.25, row="a", eps=0.1, threat_norm="L2",
    )  # fmt: skip
    both = pd.concat([results.assign(target="query", row="a"), smoothed], ignore_index=True)
    text = html_page(both, "a: 1", "c", "m")
    assert "whether 500 draws more prove it" in text
    assert "<code>certified-L2-r</code>" in text
    assert "whether 500 draws" not in html_page(results, "a: 1", "c", "m")


def test_is_the_same_every_time_and_does_without_what_is_not_there(results):
    page = html_page(results, "a: 1", "c", "m")
    assert page == html_page(results, "a: 1", "c", "m")
    tree = Tree(page)
    assert tree.texts("h2") == ["Accuracy, %", "Drop from clean, percentage points", "Learners", "Reproduce"]
    clean = html_page(results[results["attack"] == "clean"], "a: 1", "c", "m")
    assert Tree(clean).texts("h2") == ["Accuracy, %", "Learners", "Reproduce"]
    assert 'class="best"' not in clean


def test_rows_of_two_settings_are_refused(results):
    results.loc[0, "ways"] = 20
    with pytest.raises(RobustMetaError, match="mix ways"):
        html_page(results, "a: 1", "c", "m")
