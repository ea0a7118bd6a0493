"""The pages of docs/ name what exists, and all that is public."""

import re
import shlex
import textwrap
from doctest import ELLIPSIS, OutputChecker
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

import skbert_filter
from skbert_filter.cli.app import app
from skbert_filter.datasets import make_website_corpus, make_website_snippets

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
FIGURE = r"[\d,]*\.?\d+"
# Where users import from. Those without __all__ are modules: what they define is public.
PUBLIC = [
    "skbert_filter",
    "skbert_filter.corpus",
    "skbert_filter.datasets",
    "skbert_filter.labelling.corrections",
    "skbert_filter.labelling.demo",
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


def sessions(page):
    """Return what is typed and shown in the console blocks of a page: (command, output) pairs."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    else:
        blocks = re.findall(r"code-block:: console\n((?:\n|   .*\n)+)", text)
    for block in blocks:
        typed = textwrap.dedent(block).strip().removeprefix("$ ").split("\n$ ")
        yield [(command.partition("\n")[0], command.partition("\n")[2]) for command in typed]


PAGES = [*sorted(DOCS.glob("*.rst")), README]


def test_links_lead_to_files():
    """The site's own links are checked when it is built; those to other sites by their form."""
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.glob("*.rst"), *DOCS.glob("examples/*")]
    # Not the whole root, which contains the README's virtual environment.
    sources = [*root.glob("skbert_filter/**/*.py"), *root.glob("tests/**/*.py")]
    cards = [*root.glob("skbert_filter/**/*.md"), *root.glob("tests/benchmarks/*.md")]
    lost = []
    for page in [*pages, *sources, *cards]:
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#\s]+)", text) if page.suffix == ".md" else []
        lost += [
            (page.name, u)
            for u in links
            if not u.startswith("https://") and not (page.parent / u).exists()
        ]
        named = re.findall(r"\bdocs/[\w/]+\.(?:rst|svg|ipynb)\b", text)
        lost += [(page.name, name) for name in named if not (root / name).is_file()]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_pages_show(page):
    for command, _ in [line for session in sessions(page) for line in session]:
        for part in command.split(" | "):
            program, *words = shlex.split(part.replace("&& ", ""))
            if program == "skbert-filter":
                group = get_command(app)
                context = group.context_class(group)
                name, subcommand, arguments = group.resolve_command(context, words)
                subcommand.make_context(name, arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(output for s in sessions(page) for _, output in s)],
    ids=lambda page: page.stem,
)
def test_commands_print_what_pages_show(page, tmp_path, monkeypatch, capsys):
    X, y = make_website_snippets(600, random_state=0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    pd.DataFrame({"text": X, "label": y}).to_csv("labels.csv", index=False)
    texts = make_website_corpus(5_000, random_state=0)
    pages = [f"page {row // 125}" for row in range(5_000)]
    pd.DataFrame({"page": pages, "text": texts}).to_csv("crawl.csv", index=False)

    for session in sessions(page):
        if not any(output for _, output in session):
            continue
        for command, shown in session:
            check_output(shown, printed_by(command, shown, capsys))


def printed_by(command, shown, capsys):
    """Return what a command prints; a missing file is written as the page shows it."""
    program, *words = shlex.split(command)
    if program == "cat":
        file = Path(*words)
        if not file.exists():
            file.write_text(shown + "\n", encoding="utf-8")
        return file.read_text(encoding="utf-8")

    assert program == "skbert-filter"
    with pytest.raises(SystemExit) as end:
        app(words)
    printed = capsys.readouterr()
    assert end.value.code == 0, printed.err
    # Without the progress lines of slow commands.
    return printed.out + re.sub(r"^\d+:\d\d:\d\d .*\n", "", printed.err, flags=re.M)


def check_output(shown, printed):
    """Compare with what a page shows: "..." is anything, and other machines round differently."""
    printed = re.sub(r"[\d.]+ seconds, .* rows per second\.", "...", printed)
    printed = re.sub(r"(?m)^\d+:\d\d:\d\d .*\n", "", printed)  # progress, on a slow machine
    both = [" ".join(text.split()) for text in (shown, printed)]
    want, got = (re.sub(FIGURE, "#", text) + "\n" for text in both)
    assert OutputChecker().check_output(want, got, ELLIPSIS), f"{shown}\n\nis now\n\n{printed}"

    want, got = ([float(n.replace(",", "")) for n in re.findall(FIGURE, text)] for text in both)
    if len(want) == len(got):
        assert got == pytest.approx(want, rel=0.1, abs=0.03), f"{shown}\n\nis now\n\n{printed}"


def test_the_page_on_the_inside_names_modules_that_exist():
    drawing = DOCS.joinpath("images", "house.svg").read_text(encoding="utf-8")
    rooms = ", ".join(re.findall(r'class="name"[^>]*>([^<]*)<', drawing)).split(", ")
    page = DOCS.joinpath("inside.rst").read_text(encoding="utf-8")
    kept = {"model/", "kept.csv", "kept.csv.partial/", "scores.sqlite"}
    named = {*rooms, *re.findall(r"``([\w/]+(?:/|\.py))``", page)} - kept
    package = Path(skbert_filter.__file__).parent
    lost = [n for n in named if not (package / n).exists() and not (package / "bert" / n).is_file()]
    assert (len(named) > 20, lost) == (True, [])
