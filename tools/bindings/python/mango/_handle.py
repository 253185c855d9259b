"""Objects of the library as Python objects: released once, when nothing needs them.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Iterable, Optional

from ._library import Error, Status, check


class Shared:
    """A pointer and its destructor; what was made of it holds on to it, too."""

    def __init__(self, pointer: int, destroy: Callable[[int], None],
                 needs: Iterable["Shared"] = ()) -> None:
        self.pointer, self.destroy, self.users = pointer, destroy, 1
        self.lock = threading.RLock()
        self.needs = [n.take() for n in needs]

    def take(self) -> "Shared":
        with self.lock:
            self.users += 1
        return self

    def drop(self) -> None:
        with self.lock:
            self.users -= 1
            last = self.users == 0
        if last:
            self.destroy(self.pointer)
            for n in self.needs:
                n.drop()


class Calls:
    """What a callback raised, until the call that it was made from is over."""

    def __init__(self) -> None:
        self.raised: Optional[BaseException] = None

    def again(self) -> None:
        raised, self.raised = self.raised, None
        if raised is not None:
            raise raised


class Handle:
    """Base of all objects. One call at a time: threads wait for each other. `with` closes."""

    _error: Any = None  # the library's function for the last message

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._calls = Calls()
        self._depth = 0
        self._release = weakref.finalize(self, shared.drop)

    @property
    def _pointer(self) -> int:
        if not self._release.alive:
            raise Error(Status.E_STATE, f"this {type(self).__name__} is closed")
        return self._shared.pointer

    def _call(self, function: Any, *arguments: Any, err: Any = None,
              why: Optional[str] = None) -> Status:
        """`why`: what a failure means, for the calls that leave no message."""
        with self._shared.lock:
            pointer = self._pointer
            self._depth += 1
            try:
                status = function(pointer, *arguments)
            finally:
                self._depth -= 1
            if status < 0 or self._calls.raised is not None:
                self._calls.again()
            if why is not None and status < 0:
                raise Error(status, why)
            told = None if self._error is None else (lambda: self._error(pointer))
            return check(status, err, told)

    def close(self) -> None:
        """Release it now; what was made of it stays usable. Twice is fine."""
        with self._shared.lock:
            if self._depth:
                raise Error(Status.E_STATE, "closed from within one of its own calls")
            self._release()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
