"""How Sphinx builds the site. Nothing is downloaded, so that it builds offline."""

import os
import re
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

# Before TensorFlow is imported: the examples need no GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# The examples are one folder below the site, so that the estimators they show link into it.
os.environ["SKBERT_FILTER_DOCS"] = ".."

import matplotlib as mpl
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import skbert_filter

# Tests and site run notebooks alike.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from notebooks import printed, run_notebook

mpl.use("agg")

project = "skbert_filter"
author = "the skbert_filter developers"
version = release = skbert_filter.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "examples", "measured"]
templates_path = ["_templates"]

nitpicky = True
# Sphinx cannot store the function in the gallery's settings, and need not.
suppress_warnings = ["config.cache"]
# scikit-learn, Keras and the others are on other sites, which an offline build cannot look up.
nitpick_ignore_regex = [(r"py:.*", r"(?!skbert_filter)[a-z_]+(\..+)?")]

autodoc_typehints = "none"
autosummary_generate = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False


def refuse_warnings(gallery_conf, file, when):
    """Let a warning in an example fail the build, as it fails a test."""
    warnings.simplefilter("error" if when == "before" else "default")


sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_.*\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", refuse_warnings),
    "reset_modules_order": "both",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skbert_filter {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"quickstart": [], "index": []}
copyright = author


def unlink_other_sites(app, what, name, obj, options, lines):
    """Leave the words of scikit-learn's links: an inherited docstring names its pages, not ours."""
    if not getattr(obj, "__module__", "").startswith("skbert_filter"):
        link = r":(?:ref|term):`([^`<]+?)(?:\s*<[^`>]+>)?`"
        lines[:] = [re.sub(link, r"\1", line) for line in lines]


class Notebook(SphinxDirective):
    """Run a notebook and show its cells, each with what it has printed.

    Its Markdown keeps to what reads the same in reStructuredText: paragraphs and ``code``.
    """

    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir, self.arguments[0])
        self.env.note_dependency(path)
        with TemporaryDirectory() as folder:
            cells = run_notebook(path, folder).cells

        shown = []
        for cell in cells:
            if cell.cell_type == "markdown":
                shown += self.parse_text_to_nodes(cell.source, allow_section_headings=True)
                continue
            shown.append(nodes.literal_block(cell.source, cell.source, language="ipython3"))
            if text := printed(cell):
                shown.append(nodes.literal_block(text, text, language="none", classes=["output"]))
        return shown


def setup(app):
    app.add_directive("notebook", Notebook)
    app.connect("autodoc-process-docstring", unlink_other_sites)
