import pytest

from robustmeta.report.web.prose import prose, slug


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("`a*b*` *c* **d**", "<code>a*b*</code> <em>c</em> <strong>d</strong>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("see [G01](#G01)", 'see <a href="#G01">G01</a>'),
        ("[x](https://a.b)", "[x](https://a.b)"),
        ("`[x](#y)`", "<code>[x](#y)</code>"),
    ],
)
def test_marks(text, html):
    assert prose(text) == html


def test_slug():
    assert slug("stand-in:pgd-20") == "stand-in-pgd-20"
