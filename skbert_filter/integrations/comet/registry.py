"""Upload a fitted filter to Comet, register it, and load it by name."""

import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version as version_of
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from weakref import WeakKeyDictionary

from sklearn.utils.validation import check_is_fitted

from skbert_filter.integrations.comet.connection import (
    check_experiment,
    comet_errors,
    connect,
    import_comet,
    start,
)
from skbert_filter.integrations.comet.tracking import log_fit
from skbert_filter.saved_models import load_saved, save_classifier

_URI = re.compile(r"registry://(?P<workspace>[^/:\s]+)/(?P<name>[^/:\s]+)(:(?P<version>[^/:\s]+))?")
# Seconds to wait for Comet, which uploads files in the background.
_TIMEOUT = 120.0

# The names of the models in each experiment, with a hash of their files. Comet would add the files
# of a second model of the same name to those of the first.
_logged: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()


def log_model(experiment: Any, estimator: Any, name: str = "model") -> None:
    """Send a fitted filter to a Comet experiment, after checking that it can be loaded again.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
    estimator : estimator
        A fitted `SmallBertTextFilter`, a search over one, or another model chosen by
        `train_filter`. It is sent as the folder that `save_pretrained` writes.
    name : str, default="model"
        Its name within the experiment.

    Raises
    ------
    TypeError, ValueError
        If it is any other estimator (use ``comet_ml.integration.sklearn.log_model``), or if the
        experiment has ended or already holds another model of this name.
    RuntimeError
        If Comet does not accept all files.
    """
    check_experiment(experiment)
    if not experiment.alive:
        raise ValueError(
            "The Comet experiment has ended, so no model can be sent to it. Send the model "
            "before experiment.end()."
        )
    check_is_fitted(estimator)
    model = getattr(estimator, "best_estimator_", estimator)

    with TemporaryDirectory() as temporary:
        folder = Path(temporary, "model")
        save_classifier(model, folder)
        load_saved(folder)

        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        sent = _logged.setdefault(experiment, {})
        if sent.get(name, digest) != digest:
            raise ValueError(
                f"The experiment already holds another model named {name!r}. Send this one under "
                "another name, or to another experiment."
            )
        if name in sent:
            return

        about = {"estimator": type(model).__name__, "skbert_filter": version_of("skbert_filter")}
        sent_files = experiment.log_model(
            name, str(folder), metadata=about, prepend_folder_name=False
        )
        if len(sent_files or ()) != len(files):
            raise RuntimeError(
                f"Comet accepted {len(sent_files or ())} of the {len(files)} files of the model "
                f"{name!r}. Its own messages say why."
            )
        sent[name] = digest


def register_model(
    experiment: Any,
    estimator: Any,
    name: str,
    version: str | None = None,
    *,
    tags: Sequence[str] | None = None,
    status: str | None = None,
    **details: Any,
) -> str:
    """Send a fitted filter to a Comet experiment, and register it as a version of a model.

    Parameters
    ----------
    experiment, estimator
        As for :func:`log_model`. The registry is that of the experiment's workspace.
    name : str
        Lower-case letters, digits and dashes; any other name is adapted, with a warning.
    version : str, default=None
        A new semantic version. None: the highest version in the registry with its minor number
        increased, or ``"1.0.0"``. Offline it is required.
    tags : sequence of str, default=None
    status : str, default=None
        One that the workspace allows, such as "Production".
    **details : dict
        `description`, `comment`, `metadata` and others of
        ``comet_ml.CometExperiment.register_model``.

    Returns
    -------
    uri : str
        ``registry://workspace/name:version``, for :func:`load_model` and the command line.
        Offline, it is valid after ``comet upload``, in the uploader's workspace.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, before anything is sent; also as :func:`log_model`.
    PermissionError, ConnectionError
        If Comet refuses the key, or cannot be reached.
    RuntimeError
        If Comet does not accept all files, or does not register them within two minutes.

    Examples
    --------
    ::

        uri = register_model(experiment, model, "website-filter", status="Production")
        load_model(uri)
    """
    check_experiment(experiment)
    offline = isinstance(experiment, import_comet().OfflineExperiment)
    registered_name = _check_registration(name, version, tags, offline=offline)

    workspace = experiment.workspace
    if not offline:
        api, default_workspace = _api()
        workspace = workspace or default_workspace
        version = next_version(_versions(api, workspace, registered_name), version)
        if status is not None:
            with comet_errors(f"the workspace {workspace!r}"):
                allowed = api.model_registry_allowed_status_values(workspace)
            if status not in allowed:
                raise ValueError(
                    f"status is {status!r}. The workspace {workspace!r} allows: "
                    f"{', '.join(allowed)}."
                )

    log_model(experiment, estimator, name)
    experiment.register_model(
        name,
        version=version,
        registry_name=registered_name,
        tags=None if tags is None else list(tags),
        status=status,
        **details,
    )

    # Comet's own sync=True waits for the first version only.
    end = monotonic() + _TIMEOUT
    while not offline and version not in _versions(api, workspace, registered_name):
        if monotonic() > end:
            raise RuntimeError(
                f"Comet has not registered version {version} of {registered_name} in "
                f"{_TIMEOUT:g} seconds. Its own messages may say why."
            )
        sleep(0.5)
    return f"registry://{workspace or 'WORKSPACE'}/{registered_name}:{version}"


def register_folder(
    folder: str | Path,
    name: str,
    version: str | None = None,
    *,
    tags: Sequence[str] | None = None,
    status: str | None = None,
    project_name: str | None = None,
    **settings: Any,
) -> str:
    """Register a filter saved in a folder, in an experiment of its own.

    Parameters
    ----------
    folder : str or Path
        A folder written by `save_pretrained` or ``skbert-filter train``.
    name, version, tags, status
        As for :func:`register_model`, whose errors it raises too.
    project_name : str, default=None
    **settings : dict
        Passed to :func:`start`, such as ``offline=True``.

    Returns
    -------
    uri : str
    """
    model = load_saved(folder)
    offline = settings.get("offline", False)
    name = _check_registration(name, version, tags, offline=offline)

    experiment = start(project_name, **settings)
    try:
        log_fit(experiment, model)
        return register_model(experiment, model, name, version, tags=tags, status=status)
    finally:
        experiment.end()


def load_model(uri: str | PathLike[str]) -> Any:
    """Download a filter from Comet's registry, check it, and return it ready to predict.

    Parameters
    ----------
    uri : str
        ``registry://workspace/name:version``; without ``:version``, the highest version.

    Returns
    -------
    estimator : estimator
        It makes the same predictions as the registered one, and is read without running any code.

    Raises
    ------
    ValueError
        If `uri` is malformed, there is no API key or no such version, or the model is not a filter
        of this package, is incomplete or damaged.
    FileNotFoundError
        If the registry does not have such a model, or not for this key.
    PermissionError, ConnectionError
        If Comet refuses the key, or cannot be reached.

    Examples
    --------
    >>> from skbert_filter.integrations.comet import load_model
    >>> load_model("my-filter")
    Traceback (most recent call last):
        ...
    ValueError: 'my-filter' does not name a registered model. Write
    registry://WORKSPACE/NAME:VERSION.
    """
    # A Path collapses the two slashes.
    uri = re.sub(r"^registry:/*", "registry://", Path(uri).as_posix())
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(
            f"{uri!r} does not name a registered model. Write registry://WORKSPACE/NAME:VERSION."
        )
    workspace, name, version = match["workspace"], match["name"], match["version"]

    api, _ = _api()
    model = f"the model {name!r} of the workspace {workspace!r}"
    with comet_errors(model):
        versions = api.get_registry_model_versions(workspace, name)
    if not versions:
        raise FileNotFoundError(f"There is no version of {model} in Comet's registry.")

    if version is None:
        version = max(versions, key=_parsed)
    elif version not in versions:
        raise ValueError(
            f"There is no version {version} of {name}. There are: {_listed(versions)}."
        )

    with TemporaryDirectory() as folder:
        with comet_errors(f"version {version} of {model}"):
            api.get_model(workspace, name).download(version, folder)
        try:
            return load_saved(folder)
        except FileNotFoundError:
            raise ValueError(
                f"{uri} does not hold a filter of this package. Its files are: "
                f"{_listed(path.name for path in Path(folder).iterdir())}. Load any other model "
                "with the library that logged it, such as comet_ml.integration.sklearn."
            ) from None


def next_version(existing: Sequence[str], version: str | None) -> str:
    """Return `version`, which must be new, or the highest one with its minor number increased."""
    if version in existing:
        raise ValueError(
            f"The registry already has a version {version}. Omit version to use the next one. "
            f"There are: {_listed(existing)}."
        )
    if version is None and existing:
        highest = max(map(_parsed, existing))
        return f"{highest.major}.{highest.minor + 1}.0"
    return version or "1.0.0"


def _check_registration(name: Any, version: Any, tags: Any, *, offline: bool) -> str:
    """Check arguments, which Comet would only log as wrong, and return the name to register."""
    if tags is not None and (isinstance(tags, str) or not all(isinstance(t, str) for t in tags)):
        raise TypeError(f"tags must be a list of str, such as ['reviewed']; got {tags!r}.")

    if version is not None:
        _parsed(version)
    elif offline:
        raise ValueError(
            "Offline, the registry cannot be read to find the next version. Pass one, such as "
            'version="1.0.0" (--version 1.0.0).'
        )

    if not isinstance(name, str):
        raise TypeError(f"name must be a str; got {type(name).__name__} ({name!r}).")
    proper = import_comet("comet_ml.utils").proper_registry_model_name(name)
    if not proper:
        raise ValueError(f"name is {name!r}. Pass one with letters or digits.")
    if proper != name:
        warnings.warn(
            f"Names in Comet's registry have only lower-case letters, digits and single dashes: "
            f"{name!r} is registered as {proper!r}.",
            stacklevel=3,
        )
    return proper


def _api() -> tuple[Any, str]:
    """Return Comet's API client, and the user's default workspace."""
    api_key, workspace = connect()
    return import_comet().API(api_key=api_key, cache=False), workspace


def _versions(api: Any, workspace: str, name: str) -> list[str]:
    with comet_errors(f"the workspace {workspace!r}"):
        if name not in api.get_registry_model_names(workspace):
            return []
        return api.get_registry_model_versions(workspace, name)


def _parsed(version: Any) -> Any:
    """Parse a semantic version, for comparison."""
    try:
        return import_comet("comet_ml.semantic_version").SemanticVersion.parse(version)
    except (TypeError, ValueError):
        raise ValueError(f"version is {version!r}. Pass three numbers, such as '1.2.0'.") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "none"
