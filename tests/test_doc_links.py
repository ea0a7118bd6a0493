"""The HTML of an estimator links to its page, where one knows the site."""

from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr

from skbert_filter import (
    DedupPredictor,
    SmallBertPretrainer,
    SmallBertTextFilter,
)
from skbert_filter.inspection import WordCountRule

ESTIMATORS = {
    "skbert_filter.SmallBertTextFilter": SmallBertTextFilter(),
    "skbert_filter.SmallBertPretrainer": SmallBertPretrainer(),
    "skbert_filter.DedupPredictor": DedupPredictor(LogisticRegression()),
    "skbert_filter.inspection.WordCountRule": WordCountRule(),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_html_links_to_the_page_that_the_site_has(name, monkeypatch):
    monkeypatch.setenv("SKBERT_FILTER_DOCS", "http://docs.example/")
    assert f'href="http://docs.example/api/{name}.html"' in estimator_html_repr(ESTIMATORS[name])
    pages = Path(__file__).parents[1].joinpath("docs", "api.rst").read_text(encoding="utf-8")
    assert f"~{name}\n" in pages


def test_html_explains_parameters_beside_their_links(monkeypatch):
    monkeypatch.setenv("SKBERT_FILTER_DOCS", "http://docs.example")
    html = estimator_html_repr(SmallBertTextFilter())
    assert 'href="http://docs.example/api/skbert_filter.SmallBertTextFilter.html#:~:text=' in html
    assert "Maximum size of the vocabulary" in html


@pytest.mark.parametrize("name", ESTIMATORS)
def test_html_has_no_link_where_no_site_is_known(name, monkeypatch):
    monkeypatch.delenv("SKBERT_FILTER_DOCS", raising=False)
    assert f"{name}.html" not in estimator_html_repr(ESTIMATORS[name])


def test_html_links_to_the_documentation_that_the_distribution_names(monkeypatch, tmp_path):
    monkeypatch.delenv("SKBERT_FILTER_DOCS", raising=False)
    info = tmp_path / "skbert_filter-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: skbert_filter\nVersion: 9\n"
        "Project-URL: Source, http://source.example\n"
        "Project-URL: Documentation, http://docs.example/stable/\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    html = estimator_html_repr(SmallBertTextFilter())
    assert 'href="http://docs.example/stable/api/skbert_filter.SmallBertTextFilter.html"' in html


def test_a_class_of_the_user_has_no_link(monkeypatch):
    class Mine(WordCountRule):
        """Not ours, so that no page of ours describes it."""

    monkeypatch.setenv("SKBERT_FILTER_DOCS", "http://docs.example")
    assert "docs.example" not in estimator_html_repr(Mine())
