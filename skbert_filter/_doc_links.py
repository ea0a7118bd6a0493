"""Which page of the documentation an estimator's HTML links to."""

import os
import sys
from importlib.metadata import metadata

_SETTING = "SKBERT_FILTER_DOCS"


class DocLinkMixin:
    """Link the HTML of an estimator, and each of its parameters, to its page of the API.

    The pages are those of a site that was built from docs/: at the address in the environment
    variable SKBERT_FILTER_DOCS, or at the one that the installed distribution names as its
    Documentation. Without either there is no link.
    """

    _doc_link_module = "skbert_filter"
    _doc_link_template = "{url}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        site = os.environ.get(_SETTING) or _published()
        return {"url": f"{site.rstrip('/')}/api/{_public_name(type(self))}.html" if site else ""}


def _published() -> str:
    for entry in metadata("skbert_filter").get_all("Project-URL", []):
        label, _, address = entry.partition(", ")
        if label.lower() == "documentation":
            return address
    return ""


def _public_name(cls: type) -> str:
    """Return the name under which a user imports the class: of the outermost package with it."""
    parts = cls.__module__.split(".")
    modules = [".".join(parts[:n]) for n in range(1, len(parts))]
    names = [m for m in modules if cls.__name__ in getattr(sys.modules[m], "__all__", ())]
    return f"{[*names, cls.__module__][0]}.{cls.__name__}"
