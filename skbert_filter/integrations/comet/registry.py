"""Send a fitted model to Comet, complete or not at all; register it; load it by its name."""

import hashlib
import io
import json
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from weakref import WeakKeyDictionary

import joblib
from sklearn.utils.validation import check_is_fitted

from skbert_filter.integrations.comet.connection import (
    answering,
    check_experiment,
    connect,
    import_comet,
    start,
)
from skbert_filter.integrations.comet.tracking import log_fit
from skbert_filter.text_filter import SmallBertTextFilter

_PARTS = ("major", "minor", "patch")
_URI = re.compile(r"registry://(?P<workspace>[^/:\s]+)/(?P<name>[^/:\s]+)(:(?P<version>[^/:\s]+))?")

# The names of the models that each experiment holds, with a hash of what was sent: Comet would
# add the files of a second model of one name to those of the first.
_logged: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Registration:
    """Under what a model is registered.

    Attributes
    ----------
    workspace : str or None
        The workspace; None for that of whoever uploads the archive of an offline experiment.
    name, version : str
        Its name in the registry, and its version.
    archived : bool
        Whether it is in the archive of an offline experiment, and in the registry only after
        ``comet upload``.
    """

    workspace: str | None
    name: str
    version: str
    archived: bool

    @property
    def uri(self) -> str:
        """What `load_model` and the command line take."""
        return f"registry://{self.workspace or 'WORKSPACE'}/{self.name}:{self.version}"

    def __str__(self) -> str:
        return self.uri


def log_model(
    experiment: Any, estimator: Any, name: str = "model", *, metadata: dict[str, Any] | None = None
) -> None:
    """Send a fitted model to a Comet experiment, after a check that it can be loaded again.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to send it.
    estimator : estimator
        A fitted `SmallBertTextFilter`, sent as the folder of `save_pretrained`; or any other
        fitted estimator, sent as joblib writes it. Of a search, its best estimator is sent.
    name : str, default="model"
        What to call it within the experiment.
    metadata : dict, default=None
        More to say about it, as JSON can hold it.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, the experiment has ended, the model cannot be loaded again, or
        the experiment holds another model of this name.
    RuntimeError
        If Comet does not take all files.

    Notes
    -----
    The same model under the same name is sent once. Unlike logging, this raises where it fails:
    save the model on disk first.
    """
    check_experiment(experiment)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name is {name!r}. Pass a name, such as 'website-filter'.")
    if not experiment.alive:
        raise ValueError(
            "The Comet experiment has ended, so that no model can be sent to it. Send the model "
            "before experiment.end()."
        )
    check_is_fitted(estimator)

    # As comet_ml.integration.sklearn does, for a folder too.
    model = getattr(estimator, "best_estimator_", estimator)
    about = {
        "estimator": type(model).__name__,
        "skbert_filter": version_of("skbert_filter"),
        **(metadata or {}),
    }
    json.dumps(about)  # refused here, where Comet would log the error away

    with TemporaryDirectory() as folder:
        is_filter = isinstance(model, SmallBertTextFilter)
        digest = _save(model, folder) if is_filter else _check_pickle(model, experiment)

        sent = _logged.setdefault(experiment, {})
        if sent.get(name, digest) != digest:
            raise ValueError(
                f"The experiment already holds another model named {name!r}. Send this one under "
                "another name, or to another experiment."
            )
        if name in sent:
            return

        if is_filter:
            files = list(Path(folder).iterdir())
            taken = experiment.log_model(name, folder, metadata=about, prepend_folder_name=False)
            if len(taken or ()) != len(files):
                raise RuntimeError(
                    f"Comet took {len(taken or ())} of the {len(files)} files of the model "
                    f"{name!r}. Its own messages say why."
                )
        else:
            comet_sklearn = import_comet("comet_ml.integration.sklearn")
            comet_sklearn.log_model(experiment, name, model, metadata=about)
        sent[name] = digest


def register_model(
    experiment: Any,
    estimator: Any,
    name: str,
    version: str | None = None,
    *,
    tags: Sequence[str] | None = None,
    status: str | None = None,
    description: str | None = None,
    comment: str | None = None,
    metadata: dict[str, Any] | None = None,
    timeout: float = 120.0,
) -> Registration:
    """Send a fitted model to a Comet experiment, and register it under a version.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to send it. Its workspace is that of the registry.
    estimator : estimator
        As for :func:`log_model`.
    name : str
        The name in the registry, made of lower-case letters, digits and dashes. Another one is
        changed to such a one, with a warning.
    version : str, default=None
        A semantic version such as ``"1.2.0"``, which must be new. "major", "minor" or "patch"
        count up that part of the highest version in the registry; None is "minor". The first
        version is ``"1.0.0"``. Offline, where the registry cannot be read, it is required.
    tags : sequence of str, default=None
        Tags of this version.
    status : str, default=None
        Its status, such as "Production": one of those that the workspace allows.
    description, comment : str, default=None
        What to say about the model, and about this version.
    metadata : dict, default=None
        More to say about it, as JSON can hold it.
    timeout : float, default=120.0
        How many seconds to wait until Comet has registered it.

    Returns
    -------
    registration : Registration
        Workspace, name and version; ``registration.uri`` is what :func:`load_model` takes.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; nothing is sent then. Otherwise as :func:`log_model`.
    PermissionError, ConnectionError
        If Comet refuses the key, or cannot be reached.
    RuntimeError
        If Comet does not take all files, or does not register them within `timeout`.

    Examples
    --------
    ::

        registration = register_model(
            experiment, model, "website-filter", tags=["2024-05"], status="Production")
        load_model(registration.uri)
    """
    check_experiment(experiment)
    offline = isinstance(experiment, import_comet().OfflineExperiment)
    texts = {"status": status, "description": description, "comment": comment}
    registered_name, version = _check_registration(name, version, tags, offline=offline, **texts)

    workspace = experiment.workspace
    if not offline:
        api, of_user = _api()
        workspace = workspace or of_user
        version = next_version(_versions(api, workspace, registered_name), version)
        if status is not None:
            with answering(f"the workspace {workspace!r}"):
                allowed = api.model_registry_allowed_status_values(workspace)
            if status not in allowed:
                raise ValueError(
                    f"status is {status!r}. The workspace {workspace!r} allows: "
                    f"{', '.join(allowed)}."
                )

    log_model(experiment, estimator, name, metadata=metadata)
    experiment.register_model(
        name,
        version=version,
        registry_name=registered_name,
        tags=None if tags is None else list(tags),
        metadata=metadata,
        **texts,
    )

    # Comet sends the files in the background, and its own sync=True waits for the first version.
    end = monotonic() + timeout
    while not offline and version not in _versions(api, workspace, registered_name):
        if monotonic() > end:
            raise RuntimeError(
                f"Comet has not registered version {version} of {registered_name} in {timeout:g} "
                "seconds. Its own messages may say why; a larger timeout waits longer."
            )
        sleep(0.5)
    return Registration(workspace, registered_name, version, archived=offline)


def register_folder(
    folder: str | Path,
    name: str,
    version: str | None = None,
    *,
    tags: Sequence[str] | None = None,
    status: str | None = None,
    project_name: str | None = None,
    **settings: Any,
) -> Registration:
    """Register a filter that is saved in a folder, from its own experiment.

    Parameters
    ----------
    folder : str or Path
        A folder written by `save_pretrained` or ``skbert-filter train``.
    name, version, tags, status
        As for :func:`register_model`, whose errors it raises too.
    project_name : str, default=None
        The project of the experiment.
    **settings : dict
        Passed to :func:`start`, such as ``offline=True``.

    Returns
    -------
    registration : Registration

    Examples
    --------
    ::

        register_folder("model/", "website-filter", project_name="website-texts").uri
    """
    model = SmallBertTextFilter.from_pretrained(folder)
    offline = settings.get("offline", False)
    name, version = _check_registration(name, version, tags, offline=offline, status=status)

    experiment = start(project_name, **settings)
    try:
        log_fit(experiment, model)
        return register_model(experiment, model, name, version, tags=tags, status=status)
    finally:
        experiment.end()


def load_model(uri: str | PathLike[str], *, trust: bool = True) -> Any:
    """Download a model from Comet's registry, check it, and return it ready to predict.

    Parameters
    ----------
    uri : str
        ``registry://workspace/name:version``; without ``:version``, the highest version.
    trust : bool, default=True
        Whether to load a model that is a pickle, which runs the code in it: any estimator but a
        `SmallBertTextFilter`. Load those from workspaces that you trust. Commands and
        `filter_corpus` require ``--trust`` or ``trust=True``.

    Returns
    -------
    estimator : estimator
        Fitted; predicts as the one that was registered.

    Raises
    ------
    ValueError
        If `uri` is not one, there is no API key or no such version, the model is incomplete or
        damaged, or it is a pickle and `trust` is False.
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
    # A Path has one slash where two were written.
    uri = re.sub(r"^registry:/*", "registry://", Path(uri).as_posix())
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(
            f"{uri!r} does not name a registered model. Write registry://WORKSPACE/NAME:VERSION."
        )
    workspace, name, version = match["workspace"], match["name"], match["version"]

    api, _ = _api()
    model = f"the model {name!r} of the workspace {workspace!r}"
    with answering(model):
        versions = api.get_registry_model_versions(workspace, name)
    if not versions:
        raise FileNotFoundError(f"There is no version of {model} in Comet's registry.")

    if version is None:
        version = max(versions, key=_parsed)
    elif version not in versions:
        raise ValueError(
            f"There is no version {version} of {name}. There are: {_listed(versions)}."
        )

    with TemporaryDirectory() as aside:
        with answering(f"version {version} of {model}"):
            api.get_model(workspace, name).download(version, aside)
        return _load(Path(aside), uri, trust=trust)


def next_version(known: Sequence[str], wanted: str) -> str:
    """Return `wanted`, which must be new, or the highest version with that part counted up."""
    if wanted in known:
        raise ValueError(
            f"The registry already has a version {wanted}. Omit version to count up. There are: "
            f"{_listed(known)}."
        )
    if wanted not in _PARTS:
        return wanted
    if not known:
        return "1.0.0"

    highest = max(map(_parsed, known))
    part = _PARTS.index(wanted)
    numbers = [getattr(highest, name) for name in _PARTS[: part + 1]]
    numbers[part] += 1
    return ".".join(map(str, [*numbers, 0, 0][:3]))


def _check_registration(
    name: Any, version: Any, tags: Any, *, offline: bool, **texts: Any
) -> tuple[str, str]:
    """Return the name in the registry and the version, or the part of it to count up.

    Comet would log wrong arguments as an error, and do without registering.
    """
    for argument, value in texts.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise TypeError(f"{argument} must be a str or None; got {value!r}.")
    if tags is not None and (isinstance(tags, str) or not all(isinstance(t, str) for t in tags)):
        raise TypeError(f"tags must be a list of str, such as ['reviewed']; got {tags!r}.")

    if version is not None and version not in _PARTS:
        version = str(_parsed(version))
    elif offline:
        raise ValueError(
            "Offline, the registry cannot be read to count the version up. Pass the version, such "
            "as '1.0.0'."
        )

    if not isinstance(name, str):
        raise TypeError(f"name must be a str; got {type(name).__name__} ({name!r}).")
    proper = import_comet("comet_ml.utils").proper_registry_model_name(name)
    if not proper:
        raise ValueError(f"name is {name!r}. Pass one with letters or digits.")
    if proper != name:
        warnings.warn(
            f"A name in Comet's registry is made of lower-case letters, digits and single dashes: "
            f"{name!r} is registered as {proper!r}.",
            stacklevel=3,
        )
    return proper, version or "minor"


def _save(model: SmallBertTextFilter, folder: str) -> str:
    """Save a filter, check that it reads back as the same, and return its fingerprint."""
    model.save_pretrained(folder)
    if SmallBertTextFilter.from_pretrained(folder).fingerprint_ != model.fingerprint_:
        raise ValueError("The model reads back from its folder as another one. Fit it again.")
    return model.fingerprint_


def _check_pickle(model: Any, experiment: Any) -> str:
    """Check that joblib writes and reads a model, and return a hash of what it writes."""
    stream = io.BytesIO()
    joblib.dump(model, stream)
    size, limit = stream.tell(), experiment.asset_upload_limit
    if size > limit:
        raise ValueError(
            f"The model has {size:,} bytes, and Comet takes {limit:,} in a file. Fit a smaller one."
        )

    stream.seek(0)
    check_is_fitted(joblib.load(stream))
    return hashlib.sha256(stream.getvalue()).hexdigest()


def _load(folder: Path, uri: str, *, trust: bool) -> Any:
    from skbert_filter.bert.folder import METADATA

    if (folder / METADATA).is_file():
        return SmallBertTextFilter.from_pretrained(folder)

    if not (folder / "CometModel").is_file():
        raise ValueError(
            f"{uri} does not hold a model that this package or comet_ml.integration.sklearn has "
            f"sent. Its files are: {_listed(path.name for path in folder.iterdir())}."
        )
    if not trust:
        raise ValueError(
            f"{uri} is not a filter of this package but a pickle, and loading it would run the "
            "code in it. If you trust who registered it, pass trust=True (--trust)."
        )

    try:
        estimator = import_comet("comet_ml.integration.sklearn").load_model(f"file://{folder}")
    except Exception as error:
        raise ValueError(
            f"{uri} is damaged, or needs a package that is not installed here: "
            f"{type(error).__name__}: {error}"
        ) from error
    check_is_fitted(estimator)
    return estimator


def _api() -> tuple[Any, str]:
    """Return Comet's client for reading, and the user's default workspace."""
    api_key, workspace = connect()
    return import_comet().API(api_key=api_key, cache=False), workspace


def _versions(api: Any, workspace: str, name: str) -> list[str]:
    with answering(f"the workspace {workspace!r}"):
        if name not in api.get_registry_model_names(workspace):
            return []
        return api.get_registry_model_versions(workspace, name)


def _parsed(version: Any) -> Any:
    """Return a semantic version, which can be compared."""
    try:
        return import_comet("comet_ml.semantic_version").SemanticVersion.parse(version)
    except (TypeError, ValueError):
        raise ValueError(
            f"version is {version!r}. Pass three numbers, such as '1.2.0', or 'major', 'minor' or "
            "'patch' to count up."
        ) from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "none"
