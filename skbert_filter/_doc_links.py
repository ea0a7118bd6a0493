"""Which page of the documentation an estimator's HTML links to."""

import os
import sys
from importlib.metadata import metadata


class DocLinkMixin:
    """Link the HTML of an estimator, and each of its parameters, to its page of the API.

    The site that was built from docs/ is at the address in the environment variable
    SKBERT_FILTER_DOCS, or at the one that the installed distribution names as its Documentation.
    Without either there is no link.
    """

    _doc_link_module = "skbert_filter"
    _doc_link_template = "{url}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        entries = [e.partition(", ") for e in metadata("skbert_filter").get_all("Project-URL", [])]
        published = {label.lower(): address for label, _, address in entries}
        site = os.environ.get("SKBERT_FILTER_DOCS") or published.get("documentation")
        if not site:
            return {"url": ""}

        # A page has the name under which a user imports the class: of the outermost package.
        name, parts = type(self).__name__, type(self).__module__.split(".")
        modules = [".".join(parts[:n]) for n in range(1, len(parts))]
        public = [m for m in modules if name in getattr(sys.modules[m], "__all__", ())]
        module = [*public, type(self).__module__][0]
        return {"url": f"{site.rstrip('/')}/api/{module}.{name}.html"}
