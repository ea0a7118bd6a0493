"""What a function, class or module consists of, so that a change of its code is seen.

Code of libraries counts by name and version. Code of users (notebooks, scripts, modules outside of
site-packages, editable installs) counts by its instructions and by the globals that these name.
Knows nothing of hashes or estimators.
"""

import dis
import functools
import hashlib
import importlib.util
import sys
import sysconfig
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import distribution, packages_distributions
from itertools import islice, takewhile
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_FIELDS: dict[type, tuple[str, ...]] = {
    # Without file names and line numbers, which change where the code does not.
    CodeType: (
        *("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
        *("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
        *("co_name", "co_exceptiontable"),
    ),
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
# The last two are of class bodies.
_GLOBAL_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_PYTHON = "{}.{}".format(*sys.version_info)
_OWN_PACKAGE = __name__.partition(".")[0]
_ABSENT = object()


def code_parts(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return a label and the parts of a function, class, module, method, property or code object.

    The label of library code, its name and version, says all. None for what is not code.
    """
    kind = type(value)
    if kind in _FIELDS:
        return kind.__name__, {name: getattr(value, name) for name in _FIELDS[kind]}
    if kind is np.ufunc:
        name = _ufunc_name(value)
        return (name, {}) if name else None

    if not isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType):
        return None

    if name := library_name(value):
        return name, {}
    if isinstance(value, FunctionType):
        return "function", _function_parts(value)

    if isinstance(value, type):
        parts = {name: part for name, part in vars(value).items() if name not in _CLASS_NOISE}
        return "class", parts | {"__bases__": value.__bases__, "__class__": type(value)}
    if isinstance(value, ModuleType):
        return "module", {k: v for k, v in vars(value).items() if not k.startswith("__")}
    return None


def library_name(value: Any, name: str | None = None) -> str | None:
    """Return name and version of what a library defines, None for code of users.

    `name` is its name in its module, if that is not its qualified name. None too for what cannot be
    imported by its name, such as a function made by another: its code and closure have to count.
    """
    if isinstance(value, ModuleType):
        version = _library_version(value.__name__)
        return version and f"{value.__name__} {version}"

    home = getattr(value, "__module__", None)
    name = name or getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(name, str):
        return None
    found: Any = sys.modules.get(home)
    for step in name.split("."):
        found = getattr(found, step, None)
    version = _library_version(home) if found is value else None
    return version and f"{home}:{name} {version}"


def _ufunc_name(ufunc: np.ufunc) -> str | None:
    # Ufuncs do not know their module, and np.frompyfunc hides a user's function in one.
    for home in (np, sys.modules.get("scipy.special")):
        if home and getattr(home, ufunc.__name__, None) is ufunc:
            return f"{home.__name__}:{ufunc.__name__} {_library_version(home.__name__)}"
    return None


def _library_version(module: str) -> str | None:
    """Return the version of the library that `module` belongs to, None if it is a user's."""
    top = module.partition(".")[0]
    if top == _OWN_PACKAGE:
        return sys.modules[top].__version__
    if module in ("__main__", "__mp_main__"):
        return None

    if module in sys.modules:
        file = getattr(sys.modules[module], "__file__", None)
    else:
        # To import a library only to learn its version could take seconds.
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
    names = _distributions().get(top)
    if not names:
        return getattr(sys.modules.get(top), "__version__", None)
    found = distribution(names[0])
    if not found.read_text("direct_url.json"):
        return found.version
    # Not from an index: it is installed again and again under one version, from a folder say.
    record = found.read_text("RECORD") or ""
    return f"{found.version} {hashlib.sha256(record.encode()).hexdigest()}"


_distributions = functools.cache(packages_distributions)


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

    for chain in _names_in(function.__code__):
        found = _resolved(chain, function.__globals__)
        if found is not _ABSENT:
            parts[f"__globals__[{'.'.join(filter(None, chain))!r}]"] = found
    return parts


@functools.lru_cache(maxsize=8192)
def _names_in(code: CodeType) -> list[tuple[str, ...]]:
    """Return the global names of the code, each with the attributes taken from it.

    The first item is the module that the code imports when it runs, or an empty string.
    """
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    chains: list[tuple[str, ...]] = []
    for i, step in enumerate(steps):
        if step.opname in _GLOBAL_LOADS:
            rest = islice(steps, i + 1, None)
            taken = takewhile(lambda s: s.opname in ("LOAD_ATTR", "LOAD_METHOD"), rest)
            chains.append(("", step.argval, *(s.argval for s in taken)))
        elif step.opname == "IMPORT_NAME":
            module = "." * steps[i - 2].argval + step.argval
            chains += [(module, name) for name in steps[i - 1].argval or ("",)]

    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            chains += _names_in(constant)
    return chains


def _resolved(chain: tuple[str, ...], namespace: dict[str, Any]) -> Any:
    """Return what a chain of names leads to, through modules of users only."""
    module, *names = chain
    if module:
        found = _imported(module, names[0], namespace)
    else:
        # Otherwise it is a builtin.
        found = namespace.get(names.pop(0), _ABSENT)
    for name in filter(None, names):
        if not isinstance(found, ModuleType) or library_name(found):
            break
        found = getattr(found, name, _ABSENT)
    return found


def _imported(module: str, name: str, namespace: dict[str, Any]) -> Any:
    """Return the module that a function imports when it runs, as it would."""
    absolute = module.lstrip(".")
    level = len(module) - len(absolute)
    if not level and (version := _library_version(absolute)):
        return f"{absolute} {version}"
    with suppress(ImportError):
        return __import__(absolute, namespace, None, [name] if name else [], level)
    return _ABSENT
