"""Find Comet's settings and API key before anything is trained, and start an experiment."""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skbert_filter.integrations.comet.client import import_comet, reason
from skbert_filter.wording import counted

_NAME = "COMET_API_KEY"

# 25 letters and digits today, then perhaps the server's address; or the name of a secret.
_KEY = re.compile(r"[0-9A-Za-z]{20,64}(\*[0-9A-Za-z+/=_-]*)?|_SECRET_-\S+")


def check_api_key(env_file: str | os.PathLike[str] | None = None) -> str:
    """Find Comet's API key and say where it is, without connecting and without showing it.

    Parameters
    ----------
    env_file : str or path-like, default=None
        A ``.env`` file, or the folder that holds it, such as a mounted drive. Its settings
        win over those of the environment. None: the ``.env`` of the working directory or of the
        nearest folder above it, whose settings the environment wins over.

    Returns
    -------
    where : str
        Where the key was found.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no key, or what is there cannot be one.

    Notes
    -----
    The settings of the file whose names begin with ``COMET_`` are put into the environment of
    this process, where Comet reads them. Without any, Comet's own ``~/.comet.config`` counts.

    Examples
    --------
    >>> from skbert_filter.integrations.comet import check_api_key
    >>> check_api_key("/content/drive/MyDrive")
    Traceback (most recent call last):
        ...
    FileNotFoundError: There is no .env file at /content/drive/MyDrive. Check the path; if it is
    on a drive, mount the drive first.
    """
    return find_api_key(env_file)[1]


def start(
    project_name: str | None = None,
    *,
    name: str | None = None,
    workspace: str | None = None,
    tags: Sequence[str] | None = None,
    offline: bool = False,
    offline_directory: str | os.PathLike[str] | None = None,
    env_file: str | os.PathLike[str] | None = None,
    **config: Any,
) -> Any:
    """Start a new Comet experiment, with everything that can go wrong found first.

    Parameters
    ----------
    project_name : str, default=None
        The project; None for ``COMET_PROJECT_NAME``, or Comet's default.
    name : str, default=None
        The name of the experiment; None lets Comet invent one.
    workspace : str, default=None
        The workspace; None for ``COMET_WORKSPACE``, or your default.
    tags : sequence of str, default=None
        Tags of the experiment.
    offline : bool, default=False
        Whether to write an archive, which ``comet upload`` sends later, instead of connecting.
        No key is needed.
    offline_directory : str or path-like, default=None
        Where archives go; None for ``COMET_OFFLINE_DIRECTORY``, or ``.cometml-runs``.
    env_file : str or path-like, default=None
        As for :func:`check_api_key`.
    **config : dict
        Further settings of `comet_ml.ExperimentConfig`. Comet's own logging of parameters and
        metrics is off, since it would mix those of every baseline into this experiment;
        ``auto_param_logging=True`` and ``auto_metric_logging=True`` turn it on.

    Returns
    -------
    experiment : comet_ml.CometExperiment
        To be ended with ``experiment.end()``.

    Warns
    -----
    UserWarning
        If Comet cannot be reached: the experiment is an offline one then.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`check_api_key`, unless `offline`.
    PermissionError
        If Comet refuses the key.

    Examples
    --------
    ::

        experiment = start("website-texts", env_file="/content/drive/MyDrive")
        ...
        experiment.end()
    """
    comet_ml = import_comet()
    api_key = None
    if offline:
        _load_settings(env_file)
    else:
        api_key, where = find_api_key(env_file)
        try:
            account(api_key, where)
        except ConnectionError as error:
            offline = True
            warnings.warn(
                f"{error} This experiment is written to an archive instead; send it with "
                "`comet upload` when its end has shown the path.",
                stacklevel=2,
            )
    return comet_ml.start(
        api_key=None if offline else api_key,
        workspace=workspace,
        project_name=project_name,
        # "get_or_create", Comet's default, writes a second training into the running experiment.
        mode="create",
        online=not offline,
        experiment_config=comet_ml.ExperimentConfig(
            **{
                "name": name,
                "tags": None if tags is None else list(tags),
                "offline_directory": None if offline_directory is None else str(offline_directory),
                "auto_param_logging": False,
                "auto_metric_logging": False,
                "log_graph": False,  # Comet cannot draw it, and warns with a traceback
                **config,
            }
        ),
    )


def find_api_key(env_file: str | os.PathLike[str] | None = None) -> tuple[str, str]:
    """Return the API key, which looks like one, and where it was found."""
    in_environment = _NAME in os.environ
    path, names = _load_settings(env_file)
    key = import_comet().get_config("comet.api_key")
    if env_file is not None and _NAME not in names:
        raise ValueError(
            f"There is no {_NAME} in {path}. Write a line {_NAME}=... into it, with the key from "
            "your account settings on Comet."
        )
    if not key:
        looked = "the nearest one above the working directory" if path is None else str(path)
        raise ValueError(
            f"There is no Comet API key. Looked for {_NAME} in the environment, in a .env file "
            f"({looked}), and for api_key in ~/.comet.config. Put a line {_NAME}=... into a .env "
            "file, or pass offline=True (--offline), which needs no key "
            '(docs: comet, "Where does the API key go?").'
        )
    if env_file is not None or (_NAME in names and not in_environment):
        where = str(path)
    else:
        where = f"the environment variable {_NAME}" if in_environment else "~/.comet.config"
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"The Comet API key of {where} cannot be one: {_fault(key)} A key is 25 letters and "
            "digits. Copy it again from your account settings on Comet."
        )
    return key, where


def account(api_key: str, where: str) -> dict[str, Any]:
    """Ask Comet whose key this is.

    Raises
    ------
    PermissionError
        If Comet refuses the key. Its own message would print it.
    ConnectionError
        If Comet cannot be reached, or does not answer as it should.
    """
    comet_ml = import_comet()
    exceptions, requests = import_comet("comet_ml.exceptions"), import_comet("requests")
    # Comet takes the server's address from a key that holds one.
    comet_ml.get_api_key(api_key, comet_ml.get_config())
    client = comet_ml.get_rest_api_client("v2", api_key=api_key)
    # Twelve seconds of retries would be spent on a machine without network.
    client.low_level_api_client.default_retry = False
    try:
        return client.get_account_details()
    except exceptions.Unauthorized:
        raise PermissionError(
            f"Comet refuses the API key of {where}. Copy it again from your account settings."
        ) from None
    except (exceptions.CometException, requests.RequestException, ValueError) as error:
        raise ConnectionError(f"Comet cannot be reached ({reason(error)}).") from None


def _load_settings(env_file: str | os.PathLike[str] | None) -> tuple[Path | None, set[str]]:
    """Put the COMET_ settings of a .env file into the environment; return it and their names."""
    if env_file is None:
        found = import_comet("dotenv").find_dotenv(usecwd=True)
        if not found:
            return None, set()
        path = Path(found)
    else:
        path = Path(env_file).expanduser()
        if path.is_dir():
            path /= ".env"
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no .env file at {path}. Check the path; if it is on a drive, mount the "
                "drive first."
            )
    # Editors of Windows begin a file with a mark, which would become part of the first name.
    values = import_comet("dotenv").dotenv_values(path, encoding="utf-8-sig")
    settings = {k: v for k, v in values.items() if k.startswith("COMET_") and v}
    for setting, value in settings.items():
        if env_file is not None or setting not in os.environ:
            os.environ[setting] = value
    return path, set(settings)


def _fault(key: str) -> str:
    if re.search(r"\s", key):
        return "it holds a blank or a line break."
    plain = key.partition("*")[0]
    if not plain.isascii() or not plain.isalnum():
        return "it holds characters other than letters and digits."
    return f"it has {counted(len(plain), 'character')}."
