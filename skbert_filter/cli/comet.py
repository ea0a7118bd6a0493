"""What `skbert-filter` does with Comet: an experiment for a command, and the registry."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from skbert_filter.cli.console import print_line
from skbert_filter.cli.options import EnvFile, Offline

# What Comet records and prints of a script is noise for a command.
_QUIET: dict[str, Any] = {
    "log_code": False,
    "auto_output_logging": False,
    "display_summary_level": 0,
}


@contextmanager
def comet_experiment(comet: str | None, offline: bool, env_file: Path | None) -> Iterator[Any]:
    """Yield an experiment that ends with the block, or None without ``--comet``."""
    if comet is None:
        if offline or env_file:
            raise ValueError("--offline and --env-file are for --comet. Add --comet PROJECT.")
        yield None
        return

    _quieten_comet()
    from skbert_filter.integrations.comet import start

    project, _, name = comet.partition("/")
    experiment = start(project, name=name or None, offline=offline, env_file=env_file, **_QUIET)
    try:
        yield experiment
    finally:
        experiment.end()


def register(
    model: Annotated[Path, Argument(help="A folder written by train.")],
    name: Annotated[str, Argument(help="Its name in the registry, such as web-filter.")],
    version: Annotated[
        str | None,
        Option(
            metavar="VERSION",
            help="Such as 1.2.0.",
            show_default="the next minor version",
        ),
    ] = None,
    tag: Annotated[list[str] | None, Option(metavar="TAG", help="A tag; may be repeated.")] = None,
    status: Annotated[str | None, Option(metavar="STATUS", help="Such as Production.")] = None,
    project: Annotated[
        str | None, Option(metavar="NAME", help="The project for its experiment.")
    ] = None,
    offline: Offline = False,
    env_file: EnvFile = None,
) -> None:
    """Register a filter in the model registry of Comet.

    In Python: skbert_filter.integrations.comet.register_folder(...)
    """
    _quieten_comet()
    from skbert_filter.integrations.comet import register_folder

    run: dict[str, Any] = {"project_name": project, "offline": offline, "env_file": env_file}
    uri = register_folder(model, name, version, tags=tag, status=status, **run, **_QUIET)
    print_line(f"{'After `comet upload` it is' if offline else 'Registered as'} {uri}")


def _quieten_comet() -> None:
    # Otherwise Comet patches other packages, and demands to be imported before them.
    os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")
