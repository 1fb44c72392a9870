from html.parser import HTMLParser

from robustmeta.report.plain_page import plain_page


def test_plain_text_is_escaped_and_code_marked():
    page = plain_page("a < b", "<table></table>", ["one & `x<y`"], ["careful: <b>"])
    assert "<title>a &lt; b</title>" in page
    assert '<p class="note">one &amp; <code>x&lt;y</code></p>' in page
    assert "<li>careful: &lt;b&gt;</li>" in page
    assert "<table></table>" in page
    assert 'warnings">' not in plain_page("a", "", [])


def test_it_needs_no_network_and_no_script():
    tags: list[tuple[str, dict]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            tags.append((tag, dict(attributes)))

    Reader().feed(plain_page("a", "<table></table>", ["b"], ["c"]))
    assert not any(tag in ("script", "link", "img", "iframe") for tag, _ in tags)
    assert not any("src" in attributes or "href" in attributes for _, attributes in tags)
    policy = [own["content"] for tag, own in tags if own.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0].startswith("default-src 'none'")
