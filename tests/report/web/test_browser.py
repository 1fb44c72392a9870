"""The page as a reader has it: with a mouse, with the keyboard, on a phone, in the dark, without a script, on paper."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from robustmeta.report.picture import Picture, styled
from robustmeta.report.web import html_page

CHOSEN = ".chosen table"
CONTRASTS = """() => {
  const level = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
  };
  const filled = (node) => node.nodeType === 3 && node.data.trim();
  const own = (element) => element.placeholder || [...element.childNodes].some(filled);
  return [...document.querySelectorAll("body *:not(script):not(svg *)")].filter(own).map((element) => {
    const part = element.matches("input") ? "::placeholder" : null;
    const levels = [getComputedStyle(element, part).color, ground(element)].map(level);
    const contrast = (Math.max(...levels) + 0.05) / (Math.min(...levels) + 0.05);
    return [contrast, `${element.tagName}.${element.className}: ${element.textContent.slice(0, 30)}`];
  });
}"""


def column(tab, name):
    heads = tab.locator(f"{CHOSEN} thead th").all_inner_texts()
    cells = tab.locator(f"{CHOSEN} tbody tr:visible > :nth-child({heads.index(name) + 1})")
    return [text.partition(" ±")[0] for text in cells.all_inner_texts()]


def labels(tab):
    return tab.locator(f"{CHOSEN} tbody tr:visible > th").all_inner_texts()


def head(tab, name):
    return tab.locator(f"{CHOSEN} thead th").filter(has_text=name).last


def menu(tab, name):
    return tab.locator(".menu > summary").filter(has_text=name)


@pytest.fixture
def values(flagged):
    """Percentages of each attack as the table shows them, in its order."""
    shown = flagged.assign(value=[f"{100 * accuracy:.1f}" for accuracy in flagged["accuracy"]])
    return shown.groupby("attack")["value"].apply(list)


def test_sorts_by_number_both_ways_and_back(visit, values):
    tab, button = visit(), None
    assert column(tab, "fgsm") == values["fgsm"]
    by_number = sorted(values["fgsm"], key=float)
    assert by_number != sorted(values["fgsm"]) or by_number != values["fgsm"]
    button = head(tab, "fgsm").get_by_role("button")
    for order, expected in (("descending", by_number[::-1]), ("ascending", by_number), (None, values["fgsm"])):
        button.click()
        assert column(tab, "fgsm") == expected
        assert head(tab, "fgsm").get_attribute("aria-sort") == order
    head(tab, "clean").get_by_role("button").click()
    button.click()
    assert tab.locator(f"{CHOSEN} th[aria-sort]").count() == 1
    assert "sorted by fgsm, descending" in tab.locator(".tools output").inner_text()


def test_numbers_are_sorted_as_numbers_and_what_is_missing_stands_last(visit):
    tab = visit()
    tab.evaluate(f"""() => [...document.querySelectorAll('{CHOSEN} tbody tr')].forEach((row, i) => {{
        row.cells[1].textContent = ['9.5', '-', '10.2', '-0.5'][i];
        row.cells[1].dataset.value = ['9.5', '', '10.2', '-0.5'][i];
    }})""")
    for expected in (["10.2", "9.5", "-0.5", "-"], ["-0.5", "9.5", "10.2", "-"]):
        head(tab, "clean").get_by_role("button").click()
        assert column(tab, "clean") == expected


def test_ranks_begin_with_the_first_and_the_unranked_stand_last(visit):
    tab = visit()
    head(tab, "rank").get_by_role("button").click()
    assert column(tab, "rank") == ["1", "2", "3", "-"]
    head(tab, "rank").get_by_role("button").click()
    assert column(tab, "rank") == ["3", "2", "1", "-"]


def test_everything_is_reached_and_done_with_the_keyboard(visit, values):
    tab = visit()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        seen.append(tab.evaluate("document.activeElement.textContent"))
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen[-1]
        if seen[-1] == "worst":
            break
    assert {"Learners", "Defenses", "Columns", "clean"} <= set(seen)
    tab.keyboard.press("Enter")
    assert column(tab, "worst") == sorted(values["worst"], key=float, reverse=True)
    tab.keyboard.press("Space")
    assert column(tab, "worst") == sorted(values["worst"], key=float)


def test_filters_rows_by_text_learner_and_defense(visit):
    tab = visit()
    everything = labels(tab)
    search = tab.get_by_role("searchbox")
    search.fill("AQ maml")
    assert labels(tab) == ["maml / aq"]
    assert tab.locator(".tools output").inner_text() == "1 of 4 rows"
    search.fill("")
    assert labels(tab) == everything
    menu(tab, "Defenses").click()
    tab.get_by_role("checkbox", name="natural").uncheck()
    assert labels(tab) == ["maml / aq", "protonet / aq"]
    tab.keyboard.press("Escape")
    assert tab.locator(".menu[open]").count() == 0
    menu(tab, "Learners").click()
    tab.get_by_role("checkbox", name="protonet").uncheck()
    assert labels(tab) == ["maml / aq"]
    tab.get_by_role("checkbox", name="all").check()
    assert labels(tab) == ["maml / aq", "protonet / aq"]


def test_a_filter_holds_when_the_table_is_sorted(visit):
    tab = visit()
    tab.get_by_role("searchbox").fill("natural")
    head(tab, "clean").get_by_role("button").click()
    tab.get_by_role("searchbox").fill("natural")
    assert sorted(labels(tab)) == ["maml / natural", "protonet / natural"]
    menu(tab, "Learners").click()
    tab.get_by_role("checkbox", name="maml").uncheck()
    assert labels(tab) == ["protonet / natural"]


def test_hides_a_column_and_shows_it_again(visit, values):
    tab = visit()
    menu(tab, "Columns").click()
    tab.get_by_role("checkbox", name="pgd-20", exact=True).uncheck()
    assert not head(tab, "pgd-20").is_visible() or "margin" in head(tab, "pgd-20").inner_text()
    assert tab.locator(f"{CHOSEN} col:not([hidden])").count() == tab.locator(f"{CHOSEN} th[scope=col]:visible").count()
    assert tab.get_by_text(f"{values['pgd-20'][0]} ±").first.is_visible() is False
    tab.get_by_role("checkbox", name="pgd-20", exact=True).check()
    assert column(tab, "pgd-20") == values["pgd-20"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(visit, scheme):
    tab = visit(color_scheme=scheme)
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for changed in (False, True):  # and in the colours that the reader changes to
        if changed:
            tab.get_by_role("button", name="colours").click()
        contrasts = tab.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        assert [said for said in contrasts if said[0] < 4.5] == []


def test_light_and_dark_follow_the_system_until_the_reader_says_otherwise(visit):
    tab = visit(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(ground)
    tab.emulate_media(color_scheme="light")
    light = tab.evaluate(ground)
    assert light != dark
    tab.get_by_role("button", name="Dark colours").click()
    assert tab.evaluate(ground) == dark
    tab.reload()
    assert tab.evaluate(ground) == dark
    tab.get_by_role("button", name="Light colours").click()
    assert tab.evaluate(ground) == light


def test_on_a_phone_only_the_boxes_scroll_and_names_stay(visit):
    tab = visit(viewport={"width": 360, "height": 740}, has_touch=True)
    for section in tab.locator("section").all():
        section.scroll_into_view_if_needed()
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    box = tab.locator(".chosen .scroll")
    name = box.locator("tbody th").first
    before = name.bounding_box()["x"]
    assert box.evaluate("(box) => { box.scrollLeft = 150; return box.scrollLeft; }") == 150
    assert name.bounding_box()["x"] == before
    menu(tab, "Learners").click()
    panel = tab.locator(".menu[open] > div").bounding_box()
    assert 0 <= panel["x"] <= panel["x"] + panel["width"] <= 360


def test_without_a_script_everything_is_there(visit, values):
    tab = visit(java_script_enabled=False)
    table = tab.locator(CHOSEN)
    assert table.is_visible()
    assert table.locator("tbody tr").count() == 4
    assert table.locator("tbody tr").first.inner_text().split("\t")[1].startswith(values["clean"][0])
    assert tab.locator("button, input, .tools").count() == 0
    assert tab.locator("figure svg").first.is_visible()
    assert tab.locator("#S08 dl").is_visible()
    tab.locator("#B01 summary").click()
    assert tab.locator("#B01 dl").is_visible()


def test_a_flag_says_what_it_means_to_who_points_at_it_or_comes_to_it_by_keyboard(visit):
    tab = visit()
    flag = tab.locator("a.flag.fail")
    tip = flag.locator(".tip")
    assert tip.bounding_box()["width"] <= 1
    flag.hover()
    shown = tip.bounding_box()
    assert shown["width"] > 80
    assert 0 <= shown["y"] <= shown["y"] + shown["height"] <= 800
    tab.mouse.move(0, 0)
    assert tip.bounding_box()["width"] <= 1
    head(tab, "flags").get_by_role("button").focus()
    for _ in range(2):
        tab.keyboard.press("Tab")
    assert tab.locator(":focus .tip").bounding_box()["width"] > 50
    assert flag.inner_text().startswith("S08:fail")
    assert "no silent success" in flag.inner_text()


def test_a_link_to_a_check_opens_it(visit):
    tab = visit()
    assert not tab.locator("#B01 dl").is_visible()
    tab.evaluate("location.hash = '#B01'")
    tab.locator("#B01 dl").wait_for(state="visible")


def test_copies_the_command(visit):
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    tab.locator("#reproduce .copy").first.click()
    tab.get_by_text("Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == "robustmeta bench 'a b' --seed 1"


def test_on_paper_nothing_is_cut_off_or_to_be_clicked(visit):
    tab = visit(color_scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    for gone in (".bar", ".tools", ".copy"):
        assert not tab.locator(gone).first.is_visible()
    assert tab.locator(".chosen .scroll").evaluate("(box) => getComputedStyle(box).overflow") == "visible"
    assert tab.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


def test_nothing_moves_for_who_wants_no_motion(visit):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="no-preference").evaluate(behaviour) == "smooth"
    assert visit(reduced_motion="reduce").evaluate(behaviour) == "auto"


def test_the_policy_lets_no_request_through(chromium, page, tmp_path):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    tab = chromium.new_page()
    tab.goto((tmp_path / "report.html").as_uri())
    refused = """() => new Promise((done) => {
      addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
      document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/a.png" }));
      setTimeout(() => done("nothing was refused"), 3000);
    })"""
    assert tab.evaluate(refused) == "img-src"
    tab.close()


def test_a_picture_of_pixels_is_let_in(chromium, results, tmp_path):
    with styled():
        figure = Figure()
        figure.add_subplot().imshow(np.eye(2))
    text = html_page(results, "a: 1", "c", "m", pictures=[Picture("gallery", "Pixels", "Two by two.", figure)])
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    tab, complaints = chromium.new_page(), []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.locator("figure svg image").bounding_box()["width"] > 50
    assert complaints == []
    tab.close()
