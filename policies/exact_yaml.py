"""YAML as policies are written: numbers stay exact, times and dates stay text, no key twice, no tricks.

YAML's own numbers with a fraction are floats, `09:00` is a number in base 60 and the second of two equal keys wins
quietly: in a file that decides about money each of these would be a surprise. Aliases are refused: they are
not needed here, and a few of them make a text of a hundred lines as large as a disk.

The text is taken apart by libyaml, several times as fast as in Python; what is made of it is decided here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode

DEEPEST = 20
LONGEST_NUMBER = 40


class _Loader(Composer, yaml.CSafeLoader):
    """The safe loader with the differences this module's docstring names."""

    def __init__(self, stream: str) -> None:
        yaml.CSafeLoader.__init__(self, stream)
        Composer.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()
        here = event.start_mark
        if isinstance(event, AliasEvent):
            raise ConstructorError(None, None, "aliases (*name) are not allowed; write it out", here)
        if self._depth == DEEPEST:
            raise ConstructorError(None, None, "too deeply nested", here)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, ScalarNode):
                raise ConstructorError(None, None, "a key must be a plain word or number", key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ConstructorError(None, None, f"{key!r} is written twice; keep one", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _text(loader: yaml.CSafeLoader, node: ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _whole_number(loader: yaml.CSafeLoader, node: ScalarNode) -> int:
    text = _text(loader, node)
    if len(text) > LONGEST_NUMBER:
        raise ConstructorError(None, None, f"a number has at most {LONGEST_NUMBER} digits", node.start_mark)
    return int(text)


def _printable_text(loader: yaml.CSafeLoader, node: ScalarNode) -> str:
    text = _text(loader, node)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConstructorError(None, None, "half of a character (\\ud800 to \\udfff) is no text", node.start_mark)
    return text


_Loader.add_constructor("tag:yaml.org,2002:str", _printable_text)
for _tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"):
    _Loader.add_constructor(_tag, _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
# YAML 1.1 reads 09:00 as a number in base 60; times stay text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))


def loads(text: str) -> Any:
    """The content of a YAML text: mappings, lists, text, whole numbers, true and false.

    Raises:
        yaml.YAMLError: it is not YAML, or uses what is not allowed; the text gives line and column.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  # _Loader is a SafeLoader
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # The library raises these itself for a value that does not fit its tag, e.g. !!bool x or "\UFFFFFFFF".
        raise yaml.YAMLError(f"a value does not fit its tag or escape: {error}") from error
