"""What the host offers besides rows: log, lookup tables, state and the clock."""

from __future__ import annotations

import json
from typing import Any

from wit_world.imports import clock as _clock
from wit_world.imports import log as _log
from wit_world.imports import lookup as _lookup
from wit_world.imports import state as _state

from .errors import Error


def debug(message: str) -> None:
    """Logs a line for the plugin's author. Never log a row's values."""
    _log.log(_log.Level.DEBUG, message)


def info(message: str) -> None:
    """Logs that something worth knowing happened."""
    _log.log(_log.Level.INFO, message)


def warn(message: str) -> None:
    """Logs that something is off, and the plugin copes."""
    _log.log(_log.Level.WARN, message)


def error(message: str) -> None:
    """Logs that someone must act."""
    _log.log(_log.Level.ERROR, message)


class Lookup:
    """Reference tables, which the pipeline file declares under the plugin's `lookups`."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Any] = {}

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The entry's fields, or None. Within a batch a key is asked for once."""
        try:
            return self._found[table, key]
        except KeyError:
            text = _lookup.get(table, [key])[0]
            entry = self._found[table, key] = None if text is None else json.loads(text)
            return entry

    def get_many(self, table: str, keys: list[str]) -> list[dict[str, Any] | None]:
        """For each key the entry's fields, or None."""
        return [None if text is None else json.loads(text) for text in _lookup.get(table, keys)]

    def begin(self) -> None:
        """For the loop over the rows: entries can be others in the next batch."""
        self._found.clear()


class State:
    """What the plugin remembers of a table from row to row, for plans that said `stateful`: texts as keys of at most 1,024 bytes,
    bytes as values. It is saved together with the rows that led to it. What a row that fails has changed is forgotten.
    """

    def __init__(self) -> None:
        self._running = False
        self._known: dict[str, bytes | None] = {}
        self._changed: dict[str, bytes | None] = {}

    def get(self, key: str) -> bytes | None:
        """A key's value, or None."""
        try:
            return self._known[key]
        except KeyError:
            value = self._known[key] = _state.get([key])[0]
            return value

    def put(self, key: str, value: bytes | None) -> None:
        """Sets a key's value; None removes the key."""
        if not self._running:
            raise Error("state can be used in `row` alone")
        self._known[key] = self._changed[key] = value

    def begin(self) -> None:
        """For the loop over the rows."""
        self._running = True
        self._known.clear()
        self._changed.clear()

    def end(self) -> None:
        """For the loop over the rows: one call a batch. What a batch that fails has put never reaches the host."""
        self._running = False
        if self._changed:
            _state.put([_state.Entry(key, value) for key, value in self._changed.items()])


class Clock:
    """The time of day, where the pipeline file says `clock: true`."""

    @staticmethod
    def now() -> int:
        """Microseconds since 1970-01-01T00:00:00Z."""
        return _clock.now()


lookup = Lookup()
state = State()
clock = Clock()
