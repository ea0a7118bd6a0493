"""Read Comet's model registry: count versions up, and load a model by its name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skbert_filter.integrations.comet.client import answer_to, import_comet, reason
from skbert_filter.integrations.comet.configuration import account, find_api_key

SCHEME = "registry://"

PARTS = ("major", "minor", "patch")

_URI = re.compile(SCHEME + r"(?P<workspace>[^/:\s]+)/(?P<name>[^/:\s]+)(:(?P<version>[^/:\s]+))?")


def load_model(uri: str, *, trust: bool = True) -> Any:
    """Download a model from Comet's registry, check it, and return it ready to predict.

    Parameters
    ----------
    uri : str
        ``registry://workspace/name:version``; without ``:version``, the highest version.
    trust : bool, default=True
        Whether to load a model that is a pickle, which runs the code in it.

    Returns
    -------
    estimator : estimator
        Fitted; predicts as the one that was registered.

    Raises
    ------
    ValueError
        If `uri` is none, there is no API key or no such version, the model is incomplete or
        damaged, or it is a pickle and `trust` is False.
    FileNotFoundError
        If the registry has no such model, or not for this key.
    PermissionError, ConnectionError
        If Comet refuses the key, or cannot be reached.

    See Also
    --------
    register_model : Registers a model, and gives its URI.

    Notes
    -----
    A `SmallBertTextFilter` is read without running any code. Any other estimator is a pickle,
    which can run any code when it is loaded: load it from workspaces that you trust. Commands and
    `filter_corpus` ask for ``--trust`` or ``trust=True`` then.

    Examples
    --------
    >>> from skbert_filter.integrations.comet import load_model
    >>> load_model("my-filter")
    Traceback (most recent call last):
        ...
    ValueError: 'my-filter' is no model of a registry. Write registry://WORKSPACE/NAME:VERSION.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(
            f"{uri!r} is no model of a registry. Write registry://WORKSPACE/NAME:VERSION."
        )
    workspace, name, version = match["workspace"], match["name"], match["version"]
    api = _api()[0]
    model = f"the model {name!r} of the workspace {workspace!r}"
    with _answering(model):
        versions = api.get_registry_model_versions(workspace, name)
    if not versions:
        raise FileNotFoundError(f"There is no version of {model} in Comet's registry.")
    if version is None:
        version = max(versions, key=parse_version)
    elif version not in versions:
        raise ValueError(
            f"There is no version {version} of {name}. There are: {_listed(versions)}."
        )
    with TemporaryDirectory() as aside:
        with _answering(f"version {version} of {model}"):
            api.get_model(workspace, name).download(version, aside)
        return _load(Path(aside), uri, trust=trust)


def parse_version(version: Any) -> Any:
    """Return a semantic version, which can be compared."""
    semantic_version = import_comet("comet_ml.semantic_version")
    try:
        return semantic_version.SemanticVersion.parse(version)
    except (TypeError, ValueError):
        raise ValueError(
            f"version is {version!r}. Pass three numbers, such as '1.2.0', or 'major', 'minor' or "
            "'patch' to count up."
        ) from None


def next_version(workspace: str | None, name: str, wanted: str) -> tuple[str, str]:
    """Return the workspace, and a version that is not in its registry yet."""
    api, workspace = _api(workspace)
    versions = _versions(api, workspace, name)
    if wanted not in PARTS:
        if wanted in versions:
            raise ValueError(
                f"The registry has a version {wanted} of {name} already. Leave version out to "
                f"count up. There are: {_listed(versions)}."
            )
        return workspace, wanted
    if not versions:
        return workspace, "1.0.0"
    highest = max(map(parse_version, versions))
    numbers = [highest.major, highest.minor, highest.patch]
    part = PARTS.index(wanted)
    counted = [*numbers[:part], numbers[part] + 1, 0, 0][:3]
    return workspace, ".".join(map(str, counted))


def wait_until_registered(workspace: str, name: str, version: str, timeout: float) -> None:
    """Wait until the registry has a version: Comet sends the files in the background."""
    end = monotonic() + timeout
    api = _api()[0]
    while version not in _versions(api, workspace, name):
        if monotonic() > end:
            raise RuntimeError(
                f"Comet has not registered version {version} of {name} in {timeout:g} seconds. Its "
                "own messages may say why; a larger timeout waits longer."
            )
        sleep(0.5)


def check_status(workspace: str, status: str | None) -> None:
    """Refuse a status that a workspace does not know."""
    if status is None:
        return
    with _answering(f"the workspace {workspace!r}"):
        allowed = _api()[0].model_registry_allowed_status_values(workspace)
    if status not in allowed:
        raise ValueError(
            f"status is {status!r}. The workspace {workspace!r} allows: {', '.join(allowed)}."
        )


def _api(workspace: str | None = None) -> tuple[Any, str]:
    """Return Comet's client for reading, and the workspace, by default the user's."""
    key, where = find_api_key()
    details = account(key, where)
    api = import_comet().API(api_key=key, cache=False)
    return api, workspace or details["defaultWorkspaceName"]


def _versions(api: Any, workspace: str, name: str) -> list[str]:
    with _answering(f"the workspace {workspace!r}"):
        if name not in api.get_registry_model_names(workspace):
            return []
        return api.get_registry_model_versions(workspace, name)


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """Turn Comet's and requests' errors into built-in ones that say what was asked for."""
    comet_exceptions = import_comet("comet_ml.exceptions")
    requests = import_comet("requests")
    try:
        yield
    except (comet_exceptions.CometException, requests.RequestException, ValueError) as error:
        answer = answer_to(error)
        if answer is not None and answer.status_code == 401:
            raise PermissionError(f"Comet refuses the API key, asked for {what}.") from None
        if answer is not None and 400 <= answer.status_code < 500:
            raise FileNotFoundError(
                f"Comet's registry has not {what}, or not for your API key (it answers "
                f"{answer.status_code}). Check the spelling."
            ) from None
        raise ConnectionError(
            f"Comet did not give {what} ({reason(error)}). Try again later."
        ) from error


def _load(folder: Path, uri: str, *, trust: bool) -> Any:
    from skbert_filter.bert.folder import METADATA
    from skbert_filter.text_filter import SmallBertTextFilter

    if (folder / METADATA).is_file():
        return SmallBertTextFilter.from_pretrained(folder)
    comet_sklearn = import_comet("comet_ml.integration.sklearn")
    if not (folder / "CometModel").is_file():
        files = _listed(path.name for path in folder.iterdir())
        raise ValueError(
            f"{uri} holds no model that this package or comet_ml.integration.sklearn has sent. "
            f"Its files are: {files}."
        )
    if not trust:
        raise ValueError(
            f"{uri} is no filter of this package but a pickle, and to load it would run the code "
            "that is in it. If you trust who registered it, pass trust=True (--trust)."
        )
    try:
        estimator = comet_sklearn.load_model(f"file://{folder}")
    except Exception as error:
        raise ValueError(
            f"{uri} is damaged, or needs a package that is not installed here: "
            f"{type(error).__name__}: {error}"
        ) from error
    check_is_fitted(estimator)
    return estimator


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)[:10]) or "none"
