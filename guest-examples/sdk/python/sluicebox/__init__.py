"""Write a Sluicebox transform plugin as a function of one row.

A plugin is a class with three methods: `__init__` reads the configuration, `plan` says once for each table (and each version
of its schema) which columns are read, renamed, removed or computed, and `row` is called for each row. Column names are
looked up in `plan` alone: it gives back handles, and a handle is a number.

    from sluicebox import DROP, KEEP, Transform, export_plugin

    class Orders(Transform):
        def plan(self, table, plan):
            plan.rename("order_no", "order_number")
            plan.remove("note")
            self.quantity = plan.int("quantity")
            return plan.rewrite_text("email")

        def row(self, email, row):
            ...
            return KEEP

    Plugin = export_plugin(Orders, "orders", "0.1.0")

What a plugin computes must follow from its configuration, the plan, the row and, where the plan says `stateful`, the state
alone: instances come and go, and a batch can come again. The module's top level runs when the plugin is built, and its outcome
is frozen into the component.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from componentize_py_types import Err
from wit_world.imports import types as _wit

from .errors import Config, Error, told
from .host import clock, debug, error, info, lookup, state, warn
from .plan import ColumnType, Plan, Type
from .row import Kind, Row, process

__all__ = [
    "DROP", "KEEP", "ColumnType", "Config", "Error", "Kind", "Plan", "Row", "Transform", "Type",
    "clock", "debug", "error", "export_plugin", "info", "lookup", "state", "warn",
]

KEEP = True
"""The row goes on."""
DROP = False
"""The row does not. An update that leaves the filter so becomes a delete, one that enters it an insert."""

T = TypeVar("T")


class Transform(Generic[T]):
    """A transform plugin; `export_plugin` makes a class like this one the plugin of its module."""

    def __init__(self, config: Config) -> None:
        """Starts the plugin. An exception stops the pipeline before it starts, with its text."""

    def plan(self, table: _wit.Table, plan: Plan) -> T:
        """Says what is wanted with a table: called for each table that the plugin is used for, and again after each change of its
        schema, before the first row. What it gives back is handed to `row`. An exception refuses the table, with its text."""
        raise NotImplementedError

    def row(self, table: T, row: Row) -> bool:
        """Decides about one row (KEEP or DROP) and computes its columns. Of an update, the row before and the row after come one
        after the other. An exception condemns this row alone (of an update, both rows), with its text."""
        raise NotImplementedError


def export_plugin(transform: type[Transform], name: str, version: str) -> type:
    """Makes a class the plugin of its module: `Plugin = export_plugin(Orders, "orders", "0.1.0")`."""

    return _plugin(transform, name, version)


def _plugin(transform: type[Transform], name: str, version: str) -> type:
    # The toolchain makes an object of the class for each call, so what lasts is kept beside it.
    tables: dict[int, Any] = {}
    running: list[Transform] = []

    class Plugin:
        def init(self, config: str) -> _wit.About:
            try:
                found = json.loads(config)
                running[:] = [transform(Config({} if found is None else found))]
            except Exception as error:
                raise Err(told(error))
            return _wit.About(name, version)

        def plan_table(self, id: int, table: _wit.Table) -> _wit.Plan:
            plan = Plan(table)
            try:
                wanted = running[0].plan(table, plan)
                answer, layout = plan.finish()
            except Exception as error:
                raise Err(told(error))
            tables[id] = (wanted, layout)
            return answer

        def process(self, id: int, batch: _wit.Batch) -> _wit.Outcome:
            wanted, layout = tables[id]
            lookup.begin()
            state.begin()
            outcome = process(running[0].row, wanted, layout, batch)
            state.end()
            return outcome

        def forget_table(self, id: int) -> None:
            tables.pop(id, None)

    return Plugin
