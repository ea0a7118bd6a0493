"""The parts of a function, class or module, which change when its code changes.

1. Code of a library counts by its name and the version of the library (`library_name`).
2. A function of the user (in a notebook, a script, a module outside of site-packages, an editable
   install) counts by its bytecode, its defaults and closure, and the globals that it uses.
3. A class of the user counts by its attributes and bases, a module by its contents.

Unlike source code, bytecode is always there, and does not change with comments. Knows nothing of
hashes or estimators.
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
# Attributes that Python and typing keep in a class, some of them only after first use.
_IGNORED = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "_abc_impl"),
    *("__slotnames__", "__firstlineno__", "__static_attributes__", "__parameters__"),
    "__orig_bases__",
}
_PYTHON = "{}.{}".format(*sys.version_info)
_OWN_PACKAGE = __name__.partition(".")[0]


class _Missing:
    """Stands for a module or attribute that does not exist, which is not the same as None."""


def code_parts(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return a label and the parts of a function, class, module, method, property or code object.

    Library code has no parts: its label contains its name and version. None for other values.
    """
    kind = type(value)
    if kind in _FIELDS:
        return kind.__name__, {name: getattr(value, name) for name in _FIELDS[kind]}
    if not isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType | np.ufunc):
        return None
    if name := library_name(value):
        return name, {}

    if isinstance(value, FunctionType):
        return "function", _function_parts(value)
    if isinstance(value, type):
        parts = {name: part for name, part in vars(value).items() if name not in _IGNORED}
        return "class", parts | {"__bases__": value.__bases__, "__class__": kind}
    if isinstance(value, ModuleType):
        return "module", {k: v for k, v in vars(value).items() if not k.startswith("__")}
    return None


def _function_parts(function: FunctionType) -> dict[str, Any]:
    code = function.__code__
    parts: dict[str, Any] = {
        "__code__": code,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__dict__": vars(function),
    }

    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        # A cell is empty while the variable of the outer function has no value.
        with suppress(ValueError):
            parts[f"__closure__[{name!r}]"] = cell.cell_contents

    names, imports = _used_by(code)
    for name, *attributes in names:
        # Other names are builtins.
        if name in function.__globals__:
            value = _attribute(function.__globals__[name], attributes)
            parts[f"__globals__[{'.'.join((name, *attributes))!r}]"] = value
    for module, imported, level in imports:
        value = _imported(module, imported, level, function.__globals__)
        parts[f"__import__({module!r}, {imported!r}, {level})"] = value
    return parts


@functools.lru_cache(maxsize=8192)
def _used_by(code: CodeType) -> tuple[list[list[str]], list[tuple[str, tuple[str, ...], int]]]:
    """Return the global names that code uses, with their attributes, and the imports in it.

    For example ``["os", "path", "join"]``, and ``("a", ("b",), 1)`` for ``from .a import b``.
    """
    names: list[list[str]] = []
    imports = []
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for i, step in enumerate(steps):
        # The last two are for class bodies.
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            names.append([step.argval])
            for following in steps[i + 1 :]:
                if following.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                names[-1].append(following.argval)
        elif step.opname == "IMPORT_NAME":
            level, attributes = (previous.argval for previous in steps[i - 2 : i])
            imports.append((step.argval, attributes or (), level))

    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner_names, inner_imports = _used_by(constant)
            names += inner_names
            imports += inner_imports
    return names, imports


def _attribute(value: Any, names: list[str]) -> Any:
    """Follow attributes through the user's modules, so that the rest of them does not count."""
    for name in names:
        if not isinstance(value, ModuleType) or library_name(value):
            break
        value = getattr(value, name, _Missing)
    return value


def _imported(module: str, names: tuple[str, ...], level: int, namespace: dict[str, Any]) -> Any:
    """Return what a function imports when it runs, or the version of a library."""
    # To import a library only for its version could take seconds.
    if not level and (version := _library_version(module)):
        return version
    try:
        imported = __import__(module, namespace, None, names, level)
    except ImportError:
        return _Missing
    return [getattr(imported, name, _Missing) for name in names] or imported


def library_name(value: Any, name: str | None = None) -> str | None:
    """Return the name and version of something that a library defines, None for the user's code.

    `name` is its name in its module, if that is not its qualified name. None too for an object that
    cannot be imported by its name, such as a function made by another function.
    """
    if isinstance(value, ModuleType):
        version = _library_version(value.__name__)
        return version and f"{value.__name__} {version}"

    module = getattr(value, "__module__", None)
    name = name or getattr(value, "__qualname__", None)
    if isinstance(value, np.ufunc):
        # A ufunc does not know its module. One that is in neither was made from a user's function.
        name = value.__name__
        module = "numpy" if getattr(np, name, None) is value else "scipy.special"
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    imported: Any = sys.modules.get(module)
    for step in name.split("."):
        imported = getattr(imported, step, None)
    version = _library_version(module) if imported is value else None
    return version and f"{module}:{name} {version}"


def _library_version(module: str) -> str | None:
    """Return the version of the library that a module belongs to, None if it is the user's.

    Libraries are this package, what is in site-packages, and Python's own modules.
    """
    top = module.partition(".")[0]
    if top == _OWN_PACKAGE:
        return sys.modules[top].__version__
    if module in ("__main__", "__mp_main__"):
        return None

    if loaded := sys.modules.get(module) or sys.modules.get(top):
        file = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec(top)
        file = spec and spec.origin
    if file in (None, "built-in", "frozen"):
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
        # The user's compiled code has no bytecode.
        version = hashlib.sha256(path.read_bytes()).hexdigest()
    return version


@functools.cache
def _distribution_version(top: str) -> str | None:
    names = _distributions().get(top)
    if not names:
        return getattr(sys.modules.get(top), "__version__", None)

    installed = distribution(names[0])
    if not installed.read_text("direct_url.json"):
        return installed.version
    # Installed from a folder or URL, perhaps again and again with the same version.
    record = installed.read_text("RECORD") or ""
    return f"{installed.version} {hashlib.sha256(record.encode()).hexdigest()}"


_distributions = functools.cache(packages_distributions)
