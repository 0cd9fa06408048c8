"""A notebook's parameters -> the results that it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import UserError
from ..study import plain_yaml
from ..study.params import assigned, load_params, validated
from ..study.results import Results

NAMES = ("seeds", "alone", "defaults", "sections")  # of a profile's parameters, in a notebook or from papermill


class Settings(dict[str, Any]):
    """What a notebook changes of its profile, named by dots: `sections.sweep.compression = [0.5, 1]`.

    So papermill names them too: `-p defaults.post_epochs 1`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # which Jupyter asks everything for
            raise AttributeError(name)
        return self.setdefault(name, Settings())

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def places(self) -> Iterator[tuple[list[str], Any]]:
        """Yield each place that is given a value, key by key, and the value."""
        for key, value in self.items():
            inner = value.places() if isinstance(value, Settings) else [([], value)]
            yield from (([key, *place], at_place) for place, at_place in inner)


def opened(namespace: Mapping[str, Any]) -> tuple[Results, str]:
    """Return the results that a notebook's parameters name, and the folder to write into; from its globals().

    `profile` is a name in params/ or a YAML file, which `seeds`, `alone`, `defaults` and `sections` change where they
    name a place. Where `sections` are a plain mapping, as papermill has them from a params file, they are all there is.
    Words are read as YAML. Raises UserError for a wrong place or value.
    """
    if "profile" not in namespace:
        raise UserError("this notebook's parameters cell has not been run; run it, then this cell again")
    given = {name: namespace[name] for name in NAMES if namespace.get(name) is not None}
    values: dict[str, Any] = {"profile": namespace["profile"]}
    if isinstance(given.get("sections", Settings()), Settings):
        values = load_params(str(namespace["profile"])).model_dump()
        given = {name: Settings(value) if isinstance(value, dict) else value for name, value in given.items()}
    try:
        for place, value in Settings(given).places():
            values = assigned(values, place, plain_yaml.load(value) if isinstance(value, str) else value)
    except ValueError as error:
        raise UserError(f"the notebook's parameters: {'.'.join(place)}: {error}") from None
    return Results(validated(values, "the notebook's parameters")), str(namespace.get("out") or "")
