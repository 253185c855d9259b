"""The shared library: where it is, what its functions take, how its errors are told.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import ctypes.util
import enum
import os
import sys
from ctypes import c_char_p, c_double, c_int, c_size_t, c_ssize_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Callable, Optional

__all__ = ["Error", "Status", "lib", "check", "new_error", "EVALUATOR", "OBSERVER", "RULE",
           "PICTURES"]


class Status(enum.IntEnum):
    """What a call returns: 0 done, below it an error, above it why a search stopped."""

    OK = 0
    E_ARG = -1
    E_MEM = -2
    E_IO = -3
    E_FORMAT = -4
    E_LIMIT = -5
    E_SHAPE = -6
    E_NAME = -7
    E_STATE = -8
    E_NONFINITE = -9
    E_CALLBACK = -10
    E_UNSUPPORTED = -11
    E_SYSTEM = -12
    STOP_BUDGET = 1
    STOP_TARGET = 2
    STOP_SPACE = 3
    STOP_USER = 4
    STOP_STAGNATION = 5
    STOP_TIME = 6

    @property
    def text(self) -> str:
        """The library's sentence for it."""
        return lib.mango_status_text(int(self)).decode()


class Error(RuntimeError):
    """A call of the library failed. `status` says how, the text what and where."""

    def __init__(self, status: int, text: str = "") -> None:
        self.status = Status(status)
        super().__init__(text or self.status.text)


def _candidates() -> list[str]:
    """$MANGO_LIBRARY alone where it is set, else the wheel's own, else the system's."""
    named = os.environ.get("MANGO_LIBRARY")
    if named:
        return [named]
    here = Path(__file__).parent
    names = {"win32": "mango.dll", "darwin": "libmango.dylib"}
    own = here / names.get(sys.platform, "libmango.so")
    found = ctypes.util.find_library("mango")
    return ([str(own)] if own.exists() else []) + ([found] if found else [])


def _load() -> ctypes.CDLL:
    found = _candidates()
    if not found:
        raise ImportError("mango: no library beside the package and none on the system; "
                          "build the package, or set MANGO_LIBRARY to libmango.so")
    library = ctypes.CDLL(found[0])
    if not hasattr(library, "mango_struct_field"):
        raise ImportError(f"mango: {found[0]} is too old: it has no mango_struct_field")
    return library


# The kinds of arguments. A pointer to whatever it be is P: arrays, byref() and None pass.
_I, _P, _T, _D, _Z, _U, _N = c_ssize_t, c_void_p, c_char_p, c_double, c_size_t, c_uint64, c_int

EVALUATOR = ctypes.CFUNCTYPE(_N, _P, _I, ctypes.POINTER(_I), ctypes.POINTER(_D))
PICTURES = ctypes.CFUNCTYPE(_N, _P, _I, ctypes.POINTER(ctypes.c_float), ctypes.POINTER(_D))
OBSERVER = ctypes.CFUNCTYPE(_N, _P, _P)
RULE = ctypes.CFUNCTYPE(_N, _P, ctypes.POINTER(_I))

_STATUS: dict[str, list[Any]] = {
    "struct_field": [_T, _I, _P, _P, _P, _P, _P],
    "facts_defaults_sized": [_P, _Z],
    "opt_defaults_sized": [_T, _P, _Z, _P],
    "opt_set": [_P, _T, _D, _P],
    "opt_parse": [_P, _T, _P],
    "opt_value": [_P, _T, _P, _P],
    "opt_option_sized": [_T, _I, _P, _Z],
    "opt_preset_sized": [_I, _P, _Z],
    "opt_create": [_P, _P, _P, _P, _U, _P, _P],
    "opt_ask_ids": [_P, _I, _P, _P, _P],
    "opt_tell": [_P, _I, _P, _P],
    "opt_restart": [_P],
    "opt_best": [_P, _P, _P],
    "opt_get_sized": [_P, _P, _Z],
    "session_defaults_sized": [_T, _P, _Z, _P],
    "session_create": [_P, _P, _P, _P, _P, _P, _P],
    "session_ask": [_P, _I, _P, _P, _P],
    "session_tell": [_P, _I, _P, _P],
    "session_offer": [_P, _I, _P, _P],
    "session_again": [_P, _I, _P],
    "session_note": [_P, _T, _T],
    "session_step": [_P],
    "session_extend": [_P, _I],
    "session_get_sized": [_P, _P, _Z],
    "session_best": [_P, _P, _P],
    "session_query": [_P, _I, _P, _P],
    "session_value_sized": [_P, _I, _P, _Z],
    "session_code": [_P, _U, _P],
    "session_improved_sized": [_P, _I, _P, _Z],
    "session_estimate_sized": [_P, _U, _P, _Z],
    "session_found_sized": [_P, _P, _Z],
    "session_elites_sized": [_P, _I, _I, _P, _P, _Z],
    "net_zoo": [_P, _T, _P, _P],
    "net_parse": [_P, _T, _I, _P, _P],
    "net_load": [_P, _T, _P, _P],
    "net_save": [_P, _T, _T, _P],
    "net_fill": [_P, _U, _D],
    "net_meta_set": [_P, _T, _T],
    "net_meta_at": [_P, _I, _P, _P],
    "net_get_sized": [_P, _P, _Z],
    "net_digest": [_P, _N, _P],
    "net_layer_sized": [_P, _I, _P, _Z],
    "net_find": [_P, _T, _P, _P],
    "net_param_at_sized": [_P, _I, _P, _Z],
    "archive_open": [_P, _T, _P, _P, _P],
    "archive_select": [_P, _T, _P],
    "archive_get_sized": [_P, _P, _Z],
    "archive_import": [_P, _P, _T, _P, _P],
    "net_pixels": [_P, _I, _I, _I, _I, _P, _P],
    "plan_defaults_sized": [_P, _Z],
    "plan_create": [_P, _P, _P, _I, _P, _P, _P],
    "plan_output": [_P, _I, _P],
    "plan_run": [_P, _I, _P],
    "plan_get_sized": [_P, _P, _Z],
    "space_get_sized": [_P, _P, _Z],
    "controls_defaults_sized": [_P, _Z],
    "drawing_defaults_sized": [_P, _Z],
    "drawing_create": [_P, _P, _P, _P, _P],
    "drawing_codes": [_P, _I, _P, _P],
    "drawing_get_sized": [_P, _P, _Z],
    "objective_defaults_sized": [_P, _Z],
    "objective_create": [_P, _P, _P, _T, _P, _P, _P],
    "objective_create_many": [_P, _P, _P, _I, _P, _P, _P, _P],
    "objective_eval_many": [_P, _I, _P, _P],
    "target_parse": [_P, _P, _T, _P],
    "space_of": [_P, _P, _P, _P],
    "objective_eval": [_P, _I, _P, _P],
    "objective_picture": [_P, _P, _P],
    "objective_look": [_P, _I, _P, _P],
    "objective_get_sized": [_P, _P, _Z],
    "search_create": [_P, _P, _P, _T, _P, _P, _P, _P],
    "search_create_pictures": [_P, _P, _P, _P, _T, _P, _P, _P, _P],
    "search_step": [_P],
    "search_best": [_P, _P, _P, _P],
}
_OTHER: dict[str, tuple[Any, list[Any]]] = {
    "version_number": (_N, []),
    "status_text": (_T, [_N]),
    "set_threads": (None, [_N]),
    "threads": (_N, []),
    "struct_name": (_T, [_I]),
    "struct_size": (_Z, [_T]),
    "struct_type": (_T, [_T, _I]),
    "opt_presets": (_I, []),
    "opt_option_count": (_I, [_T]),
    "opt_text": (_I, [_P, _P, _I]),
    "opt_explain": (_I, [_P, _P, _I]),
    "opt_error": (_T, [_P]),
    "opt_destroy": (None, [_P]),
    "session_error": (_T, [_P]),
    "session_destroy": (None, [_P]),
    "net_error": (_T, [_P]),
    "net_meta_get": (_T, [_P, _T]),
    "net_text": (_I, [_P, _P, _I]),
    "net_param": (_P, [_P, _T, _P, _P]),
    "net_destroy": (None, [_P]),
    "archive_destroy": (None, [_P]),
    "match_lines": (_I, [_P]),
    "match_line": (_T, [_P, _I]),
    "match_destroy": (None, [_P]),
    "plan_error": (_T, [_P]),
    "space_destroy": (None, [_P]),
    "plan_destroy": (None, [_P]),
    "drawing_error": (_T, [_P]),
    "drawing_destroy": (None, [_P]),
    "objective_error": (_T, [_P]),
    "objective_destroy": (None, [_P]),
    "search_objective": (_P, [_P]),
    "search_session": (_P, [_P]),
    "search_error": (_T, [_P]),
    "search_destroy": (None, [_P]),
}


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, arguments in _STATUS.items():
        function = getattr(library, "mango_" + name)
        function.restype, function.argtypes = _N, arguments
    for name, (result, arguments) in _OTHER.items():
        function = getattr(library, "mango_" + name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _declare(_load())


def new_error() -> Any:
    """A mango_err: the library says how large it is."""
    return ctypes.create_string_buffer(lib.mango_struct_size(b"mango_err"))


def check(status: int, err: Any = None,
          told: Optional[Callable[[], Optional[bytes]]] = None) -> Status:
    """Raise what failed, with the library's message from `err` or `told`."""
    if status >= 0:
        return Status(status)
    text = err.value if err is not None else b""
    if not text and told is not None:
        text = told() or b""
    if status == Status.E_MEM and not text:
        raise MemoryError("mango: memory is lacking")
    raise Error(status, text.decode("utf-8", "replace"))
