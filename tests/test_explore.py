"""Tests of the page on a table of labels."""

import base64
import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from skbert_filter import duplicate_report
from skbert_filter.datasets import make_website_snippets
from skbert_filter.labelling.explore import explore_labels

COMMAND = Path(sys.executable).with_name("skbert-filter")

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
# What a browser made of the page, told in its title.
PROBE = """<script>
addEventListener("load", () => {
  document.title = JSON.stringify({
    widths: Array.from(document.images, image => image.naturalWidth),
    loaded: performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 5)),
    overflow: document.documentElement.scrollWidth - innerWidth,
    report: document.querySelector("pre").textContent,
  });
});
</script></body>"""


class Page(HTMLParser):
    """What a browser would load, and the text it would show."""

    def __init__(self, content):
        super().__init__()
        self.sources, self.tags, self.text = [], [], ""
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def labels(tmp_path):
    X, y = make_website_snippets(300, random_state=0)
    X = [*X, "<script>alert(1)</script>", "<script>alert(1)</script>"]
    path = tmp_path / "labels.csv"
    pd.DataFrame({"text": X, "label": [*y, 0, 1]}).to_csv(path, index=False)
    return path


def test_the_page_holds_the_pictures_and_the_report(labels, tmp_path):
    report = explore_labels(labels, tmp_path / "page.html")

    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(content)
    assert page.tags.count("img") == len(page.sources) == 3
    for source in page.sources:
        # In the page itself, and complete.
        head, svg = source.split(",")
        assert head == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(svg)).tag.endswith("svg")
    assert not re.search(r"@import|url\(", content)
    table = pd.read_csv(labels)
    expected = duplicate_report(table["text"].tolist(), table["label"])
    assert str(report) == str(expected)
    assert str(report) in page.text
    assert "labels.csv: 302 labels" in page.text


def test_labels_of_many_classes_have_a_page_too(tmp_path):
    X, _ = make_website_snippets(300, random_state=0)
    labels = [f"reason {i % 20}" for i in range(300)]
    pd.DataFrame({"text": X, "label": labels}).to_csv(tmp_path / "labels.csv", index=False)
    explore_labels(tmp_path / "labels.csv", tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert len(page.sources) == 3


def test_texts_are_shown_and_not_run(labels, tmp_path):
    explore_labels(labels, tmp_path / "page.html")

    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_the_page_without_a_network(labels, tmp_path):
    report = explore_labels(labels, tmp_path / "page.html")
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    (tmp_path / "probed.html").write_text(content.replace("</body>", PROBE), encoding="utf-8")

    # Without the sandbox, which root and containers have not; with the width of a telephone.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,800"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *options, profile, "--dump-dom", (tmp_path / "probed.html").as_uri()],
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )

    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    seen = json.loads(html.unescape(title.group(1)))
    assert len(seen["widths"]) == 3
    assert all(seen["widths"])
    assert set(seen["loaded"]) <= {"data:"}
    assert seen["overflow"] <= 0
    assert seen["report"] == str(report)


def test_the_same_labels_give_the_same_page(labels, tmp_path):
    for name in ("a.html", "b.html"):
        explore_labels(labels, tmp_path / name)

    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_nothing_is_replaced_or_left_half_done(labels, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(FileExistsError, match=r"page\.html exists\. Name another file"):
        explore_labels(labels, page)
    with pytest.raises(ValueError, match=r"is the source\. Name another file"):
        explore_labels(labels, labels, overwrite=True)
    one = tmp_path / "one.csv"
    pd.DataFrame({"text": ["View all", "We make tea"], "label": [1, 1]}).to_csv(one, index=False)
    with pytest.raises(ValueError, match=r"All labels of .*one\.csv are 1\. Label"):
        explore_labels(one, page, overwrite=True)

    assert page.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "labels.csv",
        "one.csv",
        "page.html",
    ]


def test_the_command_writes_the_page(labels, tmp_path):
    def explore(*more):
        arguments = [COMMAND, "explore", "labels.csv", "-o", "page.html", *more]
        return subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )

    done = explore()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "page.html shows 302 labels. Open it in a browser.\n"
    assert (tmp_path / "page.html").stat().st_size > 10_000
    again = explore()
    assert again.returncode == 2
    assert "page.html exists" in again.stderr


def test_a_page_that_is_no_html_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("text,label\nMenu,0\nWe sell tea,1\n")
    with pytest.raises(ValueError, match=r"labels\.pdf is not an \.html file"):
        explore_labels(tmp_path / "labels.csv", tmp_path / "labels.pdf")
