"""Log a fitted model to an experiment, and register it, complete or not at all."""

import hashlib
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

import joblib
from sklearn.utils.validation import check_is_fitted

from skbert_filter.integrations.comet.client import check_experiment, import_comet
from skbert_filter.integrations.comet.registry import (
    PARTS,
    check_status,
    next_version,
    parse_version,
    wait_until_registered,
)
from skbert_filter.text_filter import SmallBertTextFilter

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

    See Also
    --------
    register_model : Sends it and gives it a version in the registry.

    Notes
    -----
    The same model under the same name is sent once. Unlike logging, this raises where it fails:
    save the model on disk first.

    Examples
    --------
    ::

        log_model(experiment, model, "website-filter")
    """
    _send(experiment, estimator, name, metadata)


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
        The name in the registry, made of lower-case letters, digits and dashes. Another
        one is changed to such a one, with a warning.
    version : str, default=None
        A semantic version such as ``"1.2.0"``, which must be new. "major", "minor" or "patch"
        count up that part of the highest version in the registry; None is "minor". The first
        version is ``"1.0.0"``. Offline, where the registry cannot be read, it must be given.
    tags : sequence of str, default=None
        Tags of this version.
    status : str, default=None
        Its status, such as "Production": one of those that the workspace allows.
    description, comment : str, default=None
        What to say of the model, and of this version.
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

    See Also
    --------
    load_model : Loads it, in one line.

    Examples
    --------
    ::

        registration = register_model(
            experiment, model, "website-filter", tags=["2024-05"], status="Production")
        load_model(registration.uri)
    """
    check_experiment(experiment)
    offline = isinstance(experiment, import_comet().OfflineExperiment)
    registered_name, wanted = check_registration(
        name, version, tags, status, offline=offline, description=description, comment=comment
    )
    workspace = experiment.workspace
    if not offline:
        workspace, wanted = next_version(workspace, registered_name, wanted)
        check_status(workspace, status)
    _send(experiment, estimator, name, metadata)
    experiment.register_model(
        name,
        version=wanted,
        registry_name=registered_name,
        tags=None if tags is None else list(tags),
        status=status,
        description=description,
        comment=comment,
        metadata=metadata,
    )
    if not offline:
        wait_until_registered(workspace, registered_name, wanted, timeout)
    return Registration(workspace, registered_name, wanted, archived=offline)


def check_registration(
    name: Any, version: Any, tags: Any, status: Any, *, offline: bool, **texts: Any
) -> tuple[str, str]:
    """Return the name in the registry and the version or the part of it to count up.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: Comet would log that as an error, and do without registering.
    """
    for argument, value in {"status": status, **texts}.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise TypeError(f"{argument} must be a str or None; got {value!r}.")
    if tags is not None and (isinstance(tags, str) or not all(isinstance(t, str) for t in tags)):
        raise TypeError(f"tags must be a list of str, such as ['reviewed']; got {tags!r}.")
    counts_up = version is None or version in PARTS
    if counts_up and offline:
        raise ValueError(
            "Offline, the registry cannot be read to count the version up. Pass the version, such "
            "as '1.0.0'."
        )
    wanted = version or "minor" if counts_up else str(parse_version(version))
    return _registry_name(name), wanted


def _send(experiment: Any, estimator: Any, name: str, metadata: dict[str, Any] | None) -> None:
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
    with TemporaryDirectory() as aside:
        if isinstance(model, SmallBertTextFilter):
            folder = Path(aside, "model")
            digest = _save_checked(model, folder)
            if _is_known(experiment, name, digest):
                return
            sent = experiment.log_model(
                name, str(folder), metadata=about, prepend_folder_name=False
            )
            if len(sent or ()) != sum(1 for _ in folder.iterdir()):
                raise RuntimeError(
                    f"Comet took {len(sent or ())} files of the model {name!r}, which has "
                    f"{sum(1 for _ in folder.iterdir())}. Its own messages say why."
                )
        else:
            digest = _dump_checked(model, experiment.asset_upload_limit)
            if _is_known(experiment, name, digest):
                return
            comet_sklearn = import_comet("comet_ml.integration.sklearn")
            comet_sklearn.log_model(experiment, name, model, metadata=about)
    _logged.setdefault(experiment, {})[name] = digest


def _is_known(experiment: Any, name: str, digest: str) -> bool:
    known = _logged.get(experiment, {}).get(name)
    if known not in (None, digest):
        raise ValueError(
            f"The experiment holds another model named {name!r} already. Send this one under "
            "another name, or to another experiment."
        )
    return known == digest


def _save_checked(model: SmallBertTextFilter, folder: Path) -> str:
    model.save_pretrained(folder)
    # Reads each file back, and checks its hash.
    if SmallBertTextFilter.from_pretrained(folder).fingerprint_ != model.fingerprint_:
        raise ValueError("The model reads back from its folder as another one. Fit it again.")
    return model.fingerprint_


def _dump_checked(model: Any, limit: int) -> str:
    stream = io.BytesIO()
    joblib.dump(model, stream)
    size = stream.tell()
    if size > limit:
        raise ValueError(
            f"The model has {size:,} bytes, and Comet takes {limit:,} in a file. Fit a smaller one."
        )
    stream.seek(0)
    check_is_fitted(joblib.load(stream))
    return hashlib.sha256(stream.getvalue()).hexdigest()


def _registry_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str; got {type(name).__name__} ({name!r}).")
    proper = import_comet("comet_ml.utils").proper_registry_model_name(name)
    if not proper:
        raise ValueError(f"name is {name!r}. Pass one with letters or digits.")
    if proper != name:
        warnings.warn(
            f"A name in Comet's registry is made of lower-case letters, digits and single dashes: "
            f"{name!r} is registered as {proper!r}.",
            stacklevel=4,
        )
    return proper
