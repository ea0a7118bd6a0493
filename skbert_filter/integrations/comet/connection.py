"""Connect to Comet, after checking its settings and API key.

The only module that imports comet_ml. Comet hides most errors in its log, prints an API key that
its server refuses, and lets errors of requests through. Here each failure becomes one warning or
one built-in exception, and never shows a key.
"""

import codecs
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

_KEY = "COMET_API_KEY"
# Settings that decide where the key is sent, and how it is protected on the way.
_SERVER = (
    "COMET_URL_OVERRIDE",
    "COMET_OPTIMIZER_URL",
    "COMET_CONFIG",
    "COMET_INI",
    "COMET_INTERNAL_CHECK_TLS_CERTIFICATE",
    "COMET_INCLUDE_CUSTOM_CA_BUNDLE",
)
# Today 25 letters and digits, then the server's address or nothing; or the name of a secret.
_KEY_FORM = re.compile(r"[0-9A-Za-z]{20,64}(\*[0-9A-Za-z+/=_-]*)?|_SECRET_-\S+")


def start(
    project_name: str | None = None,
    *,
    workspace: str | None = None,
    offline: bool = False,
    env_file: str | os.PathLike[str] | None = None,
    **config: Any,
) -> Any:
    """Start a new Comet experiment, after checking the settings and the API key.

    Parameters
    ----------
    project_name, workspace : str, default=None
        None for ``COMET_PROJECT_NAME`` and ``COMET_WORKSPACE``, or Comet's defaults.
    offline : bool, default=False
        Whether to write an archive, which ``comet upload`` sends later. This needs no key, and no
        network unless ``log_env_details=True``.
    env_file : str or path-like, default=None
        A ``.env`` file, or the folder that holds it, such as a mounted drive; its settings take
        precedence over those of the environment. None: the environment, then the ``.env`` of the
        working directory or the nearest folder above it, then ``~/.comet.config``.
    **config : dict
        `name`, `tags`, `offline_directory` and other settings of `comet_ml.ExperimentConfig`.
        Comet's own logging of parameters and metrics, which would add those of every baseline, is
        off unless ``auto_param_logging=True`` and ``auto_metric_logging=True``.

    Returns
    -------
    experiment : comet_ml.CometExperiment
        End it with ``experiment.end()``. If Comet cannot be reached, it is offline, with a warning.

    Raises
    ------
    FileNotFoundError, ValueError
        If `env_file` does not exist; unless `offline`, if the key is missing or malformed, or a
        file in the working directory names a server to which a key from elsewhere would be sent.
    PermissionError
        If Comet refuses the key.

    Examples
    --------
    ::

        experiment = start("website-texts", env_file="/content/drive/MyDrive")
        ...
        experiment.end()
    """
    api_key = None
    if offline:
        settings = _read_env_file(env_file)[1]
        # Nothing is sent now, and a later key must not go to a server that this file names.
        os.environ.update({n: v for n, v in settings.items() if n not in _SERVER})
    else:
        try:
            api_key, _ = connect(env_file)
        except ConnectionError as error:
            offline = True
            warnings.warn(
                f"{error} This experiment is written to an archive instead; send it with "
                "`comet upload`, which experiment.end() shows in full.",
                stacklevel=2,
            )

    comet_ml = import_comet()
    config = {
        "auto_param_logging": False,
        "auto_metric_logging": False,
        "log_graph": False,  # Comet cannot draw it, and warns with a traceback
        **config,
    }
    if offline:
        # Both access the network.
        for argument, setting in {"log_env_details": "env_details", "auto_log_co2": "co2"}.items():
            if comet_ml.get_config(f"comet.auto_log.{setting}") is None:
                config.setdefault(argument, False)

    return comet_ml.start(
        api_key=api_key,
        workspace=workspace,
        project_name=project_name,
        # "get_or_create", Comet's default, writes a second training into the running experiment.
        mode="create",
        online=not offline,
        experiment_config=comet_ml.ExperimentConfig(**config),
    )


def check_api_key(env_file: str | os.PathLike[str] | None = None) -> str:
    """Find Comet's API key and return where it is, without connecting or showing it.

    The ``COMET_`` settings of the .env file are put into the environment.
    """
    path, settings = _read_env_file(env_file)
    if env_file is not None and _KEY not in settings:
        raise ValueError(
            f"There is no {_KEY} in {path}. Write a line {_KEY}=... into it, with the key from "
            "your account settings on Comet."
        )

    config = import_comet().get_config()

    def file_of(name: str) -> Path | None:
        """Return the file that a setting comes from, None if that is the environment."""
        origin = config.get_config_origin(f"comet.{name.removeprefix('COMET_').lower()}")
        file = path if name in settings else getattr(origin, "path", None)
        return None if file is None else Path(file)

    # Anyone may have put these into the working directory. Comet itself reads the last two.
    local = {path, Path(".env").absolute(), Path(".comet.config").absolute()}
    local -= {None, file_of(_KEY), Path("~/.comet.config").expanduser()}
    for name in _SERVER:
        if (file := file_of(name)) in local:
            raise ValueError(
                f"{file} sets {name}, which decides where your API key is sent, but the key is "
                f"not from that file. If you trust it, keep both in it, or set {name} in the "
                "environment too. Otherwise remove the line."
            )

    where = str(file_of(_KEY) or f"the environment variable {_KEY}")
    os.environ.update(settings)

    key = config["comet.api_key"]
    if not key:
        env = path or "the nearest one above the working directory"
        raise ValueError(
            f"There is no Comet API key. Looked for {_KEY} in the environment, in a .env file "
            f"({env}), and for api_key in ~/.comet.config. Put a line {_KEY}=... into a .env "
            "file. To train or register without a key, pass offline=True (--offline) "
            '(docs: comet, "Where does the API key go?").'
        )
    if not _KEY_FORM.fullmatch(key):
        raise ValueError(
            f"The Comet API key of {where} has {len(key)} characters, and should be 25 letters and "
            "digits without blanks or quotation marks. Copy it again from your account settings."
        )
    return where


def connect(env_file: str | os.PathLike[str] | None = None) -> tuple[str, str]:
    """Return the API key, once Comet has accepted it, and the user's default workspace."""
    where = check_api_key(env_file)
    comet_ml = import_comet()

    # If the key contains the server's address, Comet uses that.
    api_key = comet_ml.get_api_key(None, comet_ml.get_config())
    client = comet_ml.get_rest_api_client("v2", api_key=api_key)
    # Without a network, retries would take twelve seconds.
    client.low_level_api_client.default_retry = False
    with comet_errors(f"your account (key: {where})"):
        return api_key, client.get_account_details()["defaultWorkspaceName"]


@contextmanager
def comet_errors(what: str) -> Iterator[None]:
    """Turn errors of Comet and requests into built-in ones that say what was requested."""
    exceptions, requests = import_comet("comet_ml.exceptions"), import_comet("requests")
    try:
        yield
    except (exceptions.CometException, requests.RequestException, ValueError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, exceptions.CometRestApiException):
            cause = cause.__cause__ or cause.__context__
        status = 0 if cause is None else cause.response.status_code

        if status == 401:
            raise PermissionError(
                f"Comet refuses the API key when asked for {what}. Copy it again from your account "
                "settings on Comet."
            ) from None
        if 400 <= status < 500:
            raise FileNotFoundError(
                f"Comet does not have {what}, or not for your API key (it answers {status}). "
                "Check the spelling."
            ) from None
        raise ConnectionError(
            f"Comet cannot be reached for {what} ({reason(error)}). Try again later."
        ) from None


@contextmanager
def logging_to(experiment: Any, what: str) -> Iterator[None]:
    """Turn any error inside Comet into one warning, and warn if the experiment has ended."""
    check_experiment(experiment)

    # The caller of the function that logs: above this one, contextlib's and that function.
    level = 4
    if not experiment.alive and not experiment.disabled:
        warnings.warn(
            f"The Comet experiment has ended, so {what} is not logged. Log it before "
            "experiment.end(), or to another experiment.",
            stacklevel=level,
        )

    try:
        yield
    except Exception as error:
        warnings.warn(
            f"Comet failed to log {what}, and your program continues without it: {reason(error)}",
            stacklevel=level,
        )


def check_experiment(experiment: Any) -> None:
    """Refuse anything but a Comet experiment."""
    if not isinstance(experiment, import_comet().CometExperiment):
        raise TypeError(
            f"experiment must be a Comet experiment, such as start() returns; got "
            f"{type(experiment).__name__}."
        )


def reason(error: BaseException) -> str:
    """Return an error's message, without the API key that Comet's errors may quote."""
    exceptions = import_comet("comet_ml.exceptions")
    if isinstance(error, exceptions.Unauthorized | exceptions.InvalidAPIKey):
        return "it refuses the API key."
    return f"{type(error).__name__}: {error}"


def import_comet(module: str = "comet_ml") -> ModuleType:
    """Import comet_ml, or another module of the extra; the error names what to install."""
    root = module.partition(".")[0]
    try:
        if root == "comet_ml":
            _prepare_comet()
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (root, "everett"):  # everett is installed with comet_ml
            raise
        raise ModuleNotFoundError(
            f"This needs {root}, which is not installed. Run: pip install comet_ml python-dotenv",
            name=root,
        ) from None


@cache
def _prepare_comet() -> None:
    """Import comet_ml without its reports to a third party, and able to read any .env file."""
    os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
    everett: Any = import_module("everett.manager")

    class EnvFile(everett.ConfigEnvFileEnv):
        # Everett's own class raises at `export A=1`, and then comet_ml cannot even be imported.
        def __init__(self, path: str) -> None:
            super().__init__([])
            file = Path(path).absolute()
            if file.is_file():
                self.path, self.data = str(file), _read_settings(file)

    original, everett.ConfigEnvFileEnv = everett.ConfigEnvFileEnv, EnvFile
    try:
        import_module("comet_ml")
        config_class: Any = import_module("comet_ml.config.config_class")
        config_class.ConfigEnvFileEnv = EnvFile
    finally:
        everett.ConfigEnvFileEnv = original


def _read_env_file(
    env_file: str | os.PathLike[str] | None,
) -> tuple[Path | None, dict[str, str]]:
    """Return the .env file to use, if there is one, and its settings that take effect."""
    if env_file is None:
        nearest = import_comet("dotenv").find_dotenv(usecwd=True)
        if not nearest:
            return None, {}

        settings = _read_settings(Path(nearest))
        return Path(nearest), {n: v for n, v in settings.items() if not os.environ.get(n)}

    path = Path(env_file).expanduser().absolute()
    if path.is_dir():
        path /= ".env"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no .env file at {path}. Check the path; if it is on a drive, mount the "
            "drive first."
        )
    return path, _read_settings(path)


def _read_settings(path: Path) -> dict[str, str]:
    """Read the Comet settings of a .env file in any of the encodings that editors write."""
    content = path.read_bytes()
    # Windows editors write a byte order mark, which would become part of the first name.
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")

    # Not interpolated: a file must not send what ${SECRET} holds to a server that it names.
    values = import_comet("dotenv").dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if name.startswith("COMET_") and value}
