"""What a plugin says when it cannot go on, and the configuration, which says so itself."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """What a plugin says when it cannot go on; its text is for whoever runs the pipeline.

    Any other exception does as well, and is told with its name before its text.
    """


def told(error: BaseException) -> str:
    return str(error) if isinstance(error, Error) else f"{type(error).__name__}: {error}"


class Config(dict):
    """The pipeline file's `config`. A key that is asked for with `[]` and is not there is an error that names it."""

    def __missing__(self, key: str) -> Any:
        raise Error(f"`{key}` is missing in the plugin's configuration")
