"""YAML -> plain values: a file may hold anything, and reading it must neither run, grow nor break a thing."""

from __future__ import annotations

from typing import Any

import yaml

from ..errors import quoted, says, shown

LARGEST = 100_000  # bytes, with what aliases repeat; the longest profile of ours has 2,000


def load(content: bytes | str) -> Any:
    """Return what a YAML document says; raises ValueError, in one short line, for whatever is wrong with it.

    Wrong is a key given twice too, since YAML would take the later without a word, and what is longer than `LARGEST`.
    """
    if len(content) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST:,} bytes")
    try:
        return _load(content.decode("utf-8-sig") if isinstance(content, bytes) else content)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(where + shown(error.problem or error.context)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except Exception as error:  # what PyYAML lets through is of any kind
        raise ValueError(shown(says(error))) from None


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _weigh(node, {}) > LARGEST:
            raise ValueError(f"its aliases make it longer than {LARGEST:,} bytes")
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception:
            if not isinstance(node, yaml.ScalarNode):
                raise
            kind, line = node.tag.rsplit(":", 1)[-1], node.start_mark.line + 1
            raise ValueError(f"line {line}: {quoted(node.value)} cannot be read as {shown(kind)}") from None


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many characters a node stands for, aliases written out; raises ValueError for a key given twice."""
    if isinstance(node, yaml.ScalarNode):
        return 1 + len(node.value)
    if id(node) not in known:
        known[id(node)] = LARGEST + 1  # while it is being weighed: what holds itself has no end
        if isinstance(node, yaml.MappingNode):
            _check_keys([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            inner = [part for pair in node.value for part in pair]
        else:
            inner = node.value
        known[id(node)] = 1 + sum(_weigh(part, known) for part in inner)
    return known[id(node)]


def _check_keys(keys: list[yaml.ScalarNode]) -> None:
    seen = set()
    for key in keys:
        if (key.tag, key.value) in seen:
            raise ValueError(f"line {key.start_mark.line + 1}: the key {shown(key.value)} stands there twice")
        seen.add((key.tag, key.value))
