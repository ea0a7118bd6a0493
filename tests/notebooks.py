"""Runs a notebook as its reader does: every cell, in a process of its own."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def run_notebook(source, folder, **environment):
    """Run the cells of an .ipynb file, or of a list of code, in a folder; return what came of it.

    An error in a cell is raised here. `environment` is added to that of the cells.
    """
    if isinstance(source, Path):
        notebook = nbformat.read(source, as_version=4)
    else:
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, source)))

    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env=os.environ | environment)


def printed(cell):
    """Return what a cell has printed, its result included, as text."""
    shown = [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
    return "\n".join(text.rstrip() for text in shown)
