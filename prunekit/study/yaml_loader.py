"""YAML -> plain values: PyYAML's safe loader, but a key given twice is an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ..errors import exception_summary, shown


def load(content: bytes | str) -> Any:
    """Return what a YAML document says; raises ValueError, in one line, for what cannot be read."""
    try:
        return yaml.load(content, _Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(where + shown(error.problem or error.context)) from None
    except Exception as error:  # what PyYAML lets through is of any kind
        raise ValueError(exception_summary(error)) from None


class _Loader(yaml.SafeLoader):
    """A key given twice is an error; YAML would take the later one. 1e4 is a number, not text as in YAML 1.1.

    010, which YAML 1.1 takes for 8, and 1:30, which it takes for 90, are errors.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value} stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        if re.match(r"[-+]?0_*\d|.*:", node.value):
            problem = f"{node.value} is no plain number; write it without a leading 0 or a colon, or in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        whole = node.tag.endswith(":int")
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)


for kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{kind}", _Loader.construct_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
