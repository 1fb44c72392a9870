"""Pictures inside a page: what a browser, not matplotlib, must make of them."""

import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from robustmeta.errors import RobustMetaError
from robustmeta.report.picture import FAINT, INK, PAPER, SOFT, Picture, styled

SVG = "{http://www.w3.org/2000/svg}"


def picture(name: str = "one", caption: str = 'rows < 2 & "more"') -> Picture:
    with styled():
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot([0, 1], [0.123456, 1], "-o", color="#0072b2", markerfacecolor=PAPER)
        axes.plot([0, 1], [1, 0], color=SOFT)
        axes.imshow(np.eye(3), extent=(0, 1, 0, 1), interpolation="none", aspect="auto")
        axes.grid()
        axes.set_xlabel("eps = 0.0314159")
        axes.text(0.5, 0.5, "bold", weight="bold", color=INK)
    return Picture(name, "A title", caption, figure)


def test_is_one_element_that_a_page_can_hold() -> None:
    text = picture().svg()
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("aria-label")) == ("img", 'rows < 2 & "more"')
    assert root.get("viewBox") == "0 0 216 144"
    assert (root.get("width"), root.get("height")) == ("100%", None)
    assert "max-width: 288px" in root.get("style", "")
    assert not re.search(r"<\?xml|<!DOCTYPE|<metadata|<style|<script|https?://(?!www\.w3\.org/2000/svg)", text)


def test_ids_are_its_own_and_all_references_are_met() -> None:
    one, two = picture("one").svg(), picture("two").svg()
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip((one, two), ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) == own
        assert len(re.findall(r' id="', text)) == len(own)


def test_text_is_text_in_the_pages_font_and_numbers_in_it_are_left_alone() -> None:
    text = picture().svg()
    words = {
        "".join(element.itertext()): element.get("style") for element in ElementTree.fromstring(text).iter(f"{SVG}text")
    }
    assert "eps = 0.0314159" in words
    assert "font-weight: 700" in words["bold"] or "font-weight: bold" in words["bold"]
    assert text.count("font-family") == 1
    assert not any("font:" in style for style in words.values())


HOSTILE = (
    'a" onload="alert(1)" id="q',
    "cost $\\frac$",
    "fill: #1f2328; x",
    "url(#q) font: 9px",
    "<b> & $x^2$",
    "1.23456",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stands_there_as_it_is_whatever_is_in_it(name) -> None:
    with styled():
        figure = Figure(figsize=(3, 2))
        figure.subplots().text(0.1, 0.5, name)
    text = Picture("one", "A title", name, figure).svg()
    root = ElementTree.fromstring(text)
    assert name in ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)


def test_ink_grid_and_ground_are_the_pages_and_data_keep_their_colours() -> None:
    text = picture().svg()
    assert "#0072b2" in text
    assert "data:image/png;base64,iVBOR" in text
    for colour in (INK, SOFT, FAINT, PAPER, "#000000"):
        assert colour not in text
    styles = re.findall(r'style="([^"]*)"', text)
    assert any("stroke: currentColor; stroke-opacity: 0.14" in style for style in styles)  # the grid
    assert any("fill: var(--paper, Canvas)" in style for style in styles)  # a hollow marker


def test_is_the_same_every_time_whatever_the_users_style() -> None:
    first = picture().svg()
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "text.color": "red"}):
        assert picture().svg() == first
        assert mpl.rcParams["font.size"] == 30
    again = picture()
    assert again.svg() == again.svg() == first


def test_png_is_whole_or_not_there(tmp_path) -> None:
    drawn = picture()
    for name in ("a.png", "b.png"):
        drawn.png(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert mpl.image.imread(tmp_path / "a.png").shape[:2] == (400, 600)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RobustMetaError, match="choose a writable folder"):
        drawn.png(tmp_path / "file" / "a.png")
