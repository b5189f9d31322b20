"""What every group of settings is: frozen, strict, closed, and aware of where it stood in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from shared.config.yaml import Origin, Settings


class Setting(BaseModel):
    """A group of settings. Unknown names are errors; values are never bent into the type that is wanted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        """Where the group stands in the file."""
        return self._origin

    @property
    def source(self) -> str:
        """`file:line` of the group, for reasons and logs; empty when it is all defaults."""
        return str(self._origin)

    @model_validator(mode="wrap")
    @classmethod
    def _remember_origin(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        made = handler(data)
        if isinstance(data, Settings):
            made._origin = data.origin
        return made


def section() -> Any:
    """The default of a group inside a group: a group of defaults, validated so that its paths are resolved."""
    return Field(default_factory=dict, validate_default=True)


def beside(name: str) -> Any:
    """The default of a file that is looked for beside the configuration."""
    return Field(default=Path(name), validate_default=True)
