"""The pages of docs/ name what there is, and all of it."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import skbert_filter

DOCS = Path(__file__).parents[1] / "docs"
# Where users import from. Those without __all__ are modules: what they define is public.
PUBLIC = [
    "skbert_filter",
    "skbert_filter.corpus",
    "skbert_filter.datasets",
    "skbert_filter.demo",
    "skbert_filter.labelling.corrections",
    "skbert_filter.labelling.evaluate",
    "skbert_filter.labelling.explore",
    "skbert_filter.inspection",
    "skbert_filter.integrations.comet",
    "skbert_filter.integrations.dask",
    "skbert_filter.labelling.files",
    "skbert_filter.labelling.label_table",
    "skbert_filter.testing",
    "skbert_filter.labelling.train",
]


def listed():
    """Return the names in the lists of the API page."""
    page = DOCS.joinpath("api.rst").read_text(encoding="utf-8")
    return re.findall(r"^   ~(\S+)$", page, flags=re.MULTILINE)


def find(name):
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


def names_of(module):
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return [name for name in getattr(module, "__all__", own) if not name.startswith("_")]


def test_api_page_lists_what_exists_and_each_thing_once():
    things = [id(find(name)) for name in listed()]
    assert len(things) > 60
    assert len(things) == len(set(things))


@pytest.mark.parametrize("module", PUBLIC)
def test_api_page_lists_all_that_is_public(module):
    things = [find(name) for name in listed()]
    names = names_of(import_module(module))
    assert names
    assert [name for name in names if find(f"{module}.{name}") not in things] == []


def test_messages_name_sections_that_the_docs_have():
    named = set()
    for module in Path(skbert_filter.__file__).parent.rglob("*.py"):
        source = module.read_text(encoding="utf-8")
        found = re.findall(r'\(docs: (\w+), "([^"]+)"\)', source)
        assert len(found) == source.count("(docs: "), f"{module} names a section in another form"
        named.update(found)
    assert len(named) > 8
    pages = {page: (DOCS / f"{page}.rst").read_text(encoding="utf-8") for page, _ in named}
    assert [(p, title) for p, title in named if f"\n{title}\n---" not in pages[p]] == []
