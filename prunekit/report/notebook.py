"""A notebook's parameters -> the results that it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import UserError
from ..study import plain_yaml
from ..study.params import assigned, load_params, validated
from ..study.results import Results


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

    `profile` is a name in params/ or a YAML file; `seeds`, `defaults` and `sections` change it, where they are Settings
    in some places, or else stand in place of what it has. Words are read as YAML. Raises UserError for a wrong value.
    """
    if "profile" not in namespace:
        raise UserError("this notebook's parameters cell has not been run; run it, then this cell again")
    given = {name: namespace.get(name) for name in ("seeds", "defaults", "sections")}
    whole = given["sections"] is not None and not isinstance(given["sections"], Settings)  # as `papermill -f` has it
    values = {"profile": namespace["profile"]} if whole else load_params(str(namespace["profile"])).model_dump()
    for name, value in given.items():
        for place, at_place in value.places() if isinstance(value, Settings) else [([], value)]:
            if at_place is not None or place:
                at_place = plain_yaml.load(at_place) if isinstance(at_place, str) else at_place
                values = assigned(values, [name, *place], at_place)
    return Results(validated(values, "the notebook's parameters")), str(namespace.get("out") or "")
