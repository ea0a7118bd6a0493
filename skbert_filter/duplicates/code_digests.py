"""What a function, class or module consists of, so that a change of its code is seen.

Code of libraries counts by name and version, code of users by its instructions and
by what it names. Knows nothing of hashes or estimators.
"""

import builtins
import dis
import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import islice, takewhile
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

# Without file names and line numbers, which change where the code does not.
_CODE_FIELDS = (
    *("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
    *("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
    *("co_name", "co_exceptiontable"),
)
_FIELDS: dict[type, tuple[str, ...]] = {
    CodeType: _CODE_FIELDS,
    MethodType: ("__self__", "__func__"),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    property: ("fget", "fset", "fdel"),
    functools.cached_property: ("func",),
    functools._lru_cache_wrapper: ("__wrapped__",),
}
# What Python and typing keep for themselves in a class: some of it appears on first use.
_CLASS_NOISE = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "_abc_impl"),
    *("__slotnames__", "__firstlineno__", "__static_attributes__", "__parameters__"),
    "__orig_bases__",
}
_GLOBAL_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTE_LOADS = {"LOAD_ATTR", "LOAD_METHOD"}
_PYTHON = "{}.{}".format(*sys.version_info)
_OWN_PACKAGE = __name__.partition(".")[0]
_ABSENT = object()


def code_parts(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Take apart a function, class, module, method, property or code object.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    label : str
        What kind of code it is; for code of a library its name and version, which say all.
    parts : dict of str to object
        What it consists of: instructions, defaults, closure, and the globals that the
        instructions name; for a class its bases and attributes.

        None in place of both where `value` is not code.

    Notes
    -----
    A user's module counts by the attributes that are taken from it directly
    (``helpers.clean``), by all its names where it is used otherwise.

    Examples
    --------
    >>> from skbert_filter.duplicates.code_digests import code_parts
    >>> suffix = "!"
    >>> def shout(text):
    ...     return text.upper() + suffix
    >>> label, parts = code_parts(shout)
    >>> label, parts["__globals__['suffix']"]
    ('function', '!')
    """
    kind = type(value)
    if kind is np.ufunc:
        name = _ufunc_name(value)
        return (name, {}) if name else None
    if kind is MappingProxyType:
        return "mappingproxy", {"copy": dict(value)}
    if kind in _FIELDS:
        return kind.__name__, {name: getattr(value, name) for name in _FIELDS[kind]}
    if not isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType):
        return None
    name = library_name(value)
    if name:
        return name, {}
    if isinstance(value, FunctionType):
        return "function", _function_parts(value)
    if isinstance(value, type):
        return "class", _class_parts(value)
    if isinstance(value, ModuleType):
        return "module", {k: v for k, v in vars(value).items() if not k.startswith("__")}
    return None


def library_name(value: Any, name: str | None = None) -> str | None:
    """Return name and version of what a library defines, None for code of users.

    Parameters
    ----------
    value : object
        A module, or an object that knows its module.
    name : str, default=None
        Its name in the module; None: its qualified name.

    Returns
    -------
    name : str or None
        None also for what cannot be imported by its name, such as a function made by
        another function: its code and closure have to count.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skbert_filter.duplicates.code_digests import library_name
    >>> library_name(Ridge)
    'sklearn.linear_model._ridge:Ridge ...'
    >>> library_name(lambda text: text) is None
    True
    """
    if isinstance(value, ModuleType):
        version = _version(value.__name__)
        return version and f"{value.__name__} {version}"
    home = getattr(value, "__module__", None)
    name = name or getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(name, str):
        return None
    found: Any = sys.modules.get(home)
    for step in name.split("."):
        found = getattr(found, step, None)
    version = _version(home) if found is value else None
    return version and f"{home}:{name} {version}"


def _ufunc_name(ufunc: np.ufunc) -> str | None:
    # Ufuncs do not know their module, and np.frompyfunc hides a user's function in one.
    for home in (np, sys.modules.get("scipy.special")):
        if home and getattr(home, ufunc.__name__, None) is ufunc:
            return f"{home.__name__}:{ufunc.__name__} {_version(home.__name__)}"
    return None


def _version(module: str) -> str | None:
    """Return the version of the library that `module` belongs to, None if it is a user's."""
    top = module.partition(".")[0]
    if top == _OWN_PACKAGE:
        return _distribution_version(top)
    if module in ("__main__", "__mp_main__"):
        return None
    if module in sys.modules:
        file = getattr(sys.modules[module], "__file__", None)
    else:
        spec = None if top in sys.modules else importlib.util.find_spec(top)
        file = spec.origin if spec else getattr(sys.modules.get(top), "__file__", None)
    if file is None or file in ("built-in", "frozen"):
        return _PYTHON if top in sys.stdlib_module_names else None
    return _file_version(top, file)


@functools.cache
def _file_version(top: str, file: str) -> str | None:
    path = Path(file)
    version = None
    if {"site-packages", "dist-packages"} & set(path.parts):
        version = _distribution_version(top)
    elif any(path.is_relative_to(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")):
        version = _PYTHON
    if version is None and file.endswith(tuple(EXTENSION_SUFFIXES)):
        # Compiled code of users can be seen in its file only.
        version = hashlib.sha256(path.read_bytes()).hexdigest()
    return version


@functools.cache
def _distribution_version(top: str) -> str | None:
    try:
        distribution = importlib.metadata.distribution(top)
    except importlib.metadata.PackageNotFoundError:
        return _own_version(top)
    lines = (distribution.read_text("RECORD") or "").splitlines()
    files = [line for line in lines if line.startswith((f"{top}/", f"{top}."))]
    if not files:
        # Another package by that name.
        return _own_version(top)
    if not distribution.read_text("direct_url.json"):
        return distribution.version
    # Not from an index: installed again and again under one version, from a folder say.
    hashed = "".join(sorted(line for line in files if not line.endswith(",,")))
    return f"{distribution.version} {hashlib.sha256(hashed.encode()).hexdigest()}"


def _own_version(top: str) -> str | None:
    version = getattr(sys.modules.get(top), "__version__", None)
    if version is None:
        # Slow: it reads what all distributions contain.
        for name in importlib.metadata.packages_distributions().get(top, ())[:1]:
            version = importlib.metadata.version(name)
    return version and str(version)


def _function_parts(function: FunctionType) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "__code__": function.__code__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__dict__": vars(function),
    }
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        # An empty cell is a variable of the outer function that has no value yet.
        with suppress(ValueError):
            parts[f"__closure__[{name!r}]"] = cell.cell_contents
    # A library's function that another one made: the version tells what it names.
    home = function.__globals__.get("__name__", "__main__")
    file = getattr(sys.modules.get(home), "__file__", None)
    # cloudpickle, by which joblib's workers get it, takes the name of the file away.
    is_of_library = function.__code__.co_filename in (file, "<dynamic-code>")
    version = _version(home) if is_of_library else None
    if version:
        return parts | {"__module__": f"{home} {version}"}
    for chain in _names_in(function.__code__):
        parts |= _resolve(chain, function.__globals__)
    return parts


def _class_parts(cls: type) -> dict[str, Any]:
    parts = {name: value for name, value in vars(cls).items() if name not in _CLASS_NOISE}
    return parts | {"__bases__": cls.__bases__, "__class__": type(cls)}


def _resolve(chain: tuple[str, ...], namespace: dict[str, Any]) -> dict[str, Any]:
    """Return the object that a chain of names leads to through modules of users, if any."""
    module, first, *attributes = chain
    if module:
        found = _imported(module, first, namespace)
        attributes = [first] if first else []
    else:
        found = namespace.get(first, getattr(builtins, first, _ABSENT))
    for attribute in attributes:
        if not isinstance(found, ModuleType) or library_name(found):
            break
        found = getattr(found, attribute, _ABSENT)
    path = ".".join(filter(None, chain))
    return {} if found is _ABSENT else {f"__globals__[{path!r}]": found}


def _imported(module: str, name: str, namespace: dict[str, Any]) -> Any:
    """Return the module that a function imports when it runs."""
    absolute = module.lstrip(".")
    level = len(module) - len(absolute)
    version = None if level else _version(absolute)
    if version:
        # To import a library only to learn its version could take seconds.
        return f"{absolute} {version}"
    with suppress(ImportError):
        return __import__(absolute, namespace, None, [name] if name else [], level)
    return _ABSENT


@functools.lru_cache(maxsize=8192)
def _names_in(code: CodeType) -> list[tuple[str, ...]]:
    """Return the global names of the code, each with the attributes taken from it.

    The first item is the module that the code imports by itself, or an empty string.
    """
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    chains: dict[tuple[str, ...], None] = {}
    for i, step in enumerate(steps):
        if step.opname in _GLOBAL_LOADS:
            follow = takewhile(lambda s: s.opname in _ATTRIBUTE_LOADS, islice(steps, i + 1, None))
            chains["", step.argval, *(s.argval for s in follow)] = None
        elif step.opname == "IMPORT_NAME":
            module = "." * steps[i - 2].argval + step.argval
            for name in steps[i - 1].argval or ("",):
                chains[module, name] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            chains |= dict.fromkeys(_names_in(constant))
    return list(chains)
