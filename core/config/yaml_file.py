"""YAML files that a user writes: plain data of a bounded size, depth and number range, no key twice.

Whatever is wrong with one is a single UserError that names the file and, where it is known, the line.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError, first_line, shorten
from core.input_files import read_text

MAX_BYTES = 1 << 17
"""Bytes that a YAML file may have: thirty times a whole config, or a thousand rows of a study."""
MAX_VALUES = 100_000
"""Values that a YAML file may stand for, each alias counted as what it repeats."""
MAX_DEPTH = 32
TOO_DEEP = f"it is nested too deeply, at most {MAX_DEPTH} levels are read"
MAX_WHOLE_NUMBER = 2**63
NEVER_IN_A_PATH = re.compile("[\0\ud800-\udfff]")


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, but what is twice, too much or no value of its type is a mistake, and has a line.

    By itself the last of two equal keys wins in silence, a few aliases stand for billions of values, and `!!int ""`
    ends in whatever Python raises.
    """

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Begin a list or mapping in brackets."""
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        """Begin a list or mapping by indenting it, if `column` does that."""
        self._check_depth(len(self.indents))
        return bool(super().add_indent(column))

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=self.get_mark())

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it was written, before `<<` merges others below it."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                first = lines[key.value]
                raise mistake(key, f"{shorten(key.value)} is given twice (first in line {first}): leave one out")
            lines[key.value] = key.start_mark.line + 1
        return node

    def construct_document(self, node: yaml.Node) -> Any:
        """The content of the whole file, once its size is known."""
        count_values(node, {})
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The content of a mapping, whose keys are texts."""
        mapping = super().construct_mapping(node, deep)
        for key in mapping:
            if not isinstance(key, str):
                raise mistake(node, f"the key {shorten(key)} is no text: write it in quotes")
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
            raise mistake(node, f"{shorten(node.value)} is no {node.tag.rpartition(':')[2]}") from None
        if isinstance(value, int) and abs(value) >= MAX_WHOLE_NUMBER:
            raise mistake(node, f"{shorten(node.value)} is out of range: whole numbers go to {MAX_WHOLE_NUMBER - 1}")
        if isinstance(value, str) and NEVER_IN_A_PATH.search(value):
            raise mistake(node, f"{shorten(value)} holds a character that no file name can have: leave it out")
        return value


class NumberLoader(StrictLoader):
    """Takes 1e-5 for the number it looks like, as JSON and YAML 1.2 do; PyYAML asks for 1.0e-5."""


NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def mistake(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    """The error for a node of a YAML file."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def count_values(node: yaml.Node, sizes: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Number and depth of the values that a node stands for; `sizes` remembers those of the nodes below it."""
    if isinstance(node, yaml.ScalarNode):
        return 1, 1
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise mistake(node, "an alias stands for what it is in: write it out")
        return size
    sizes[id(node)] = None
    pairs = isinstance(node, yaml.MappingNode)
    below = [count_values(child, sizes) for item in node.value for child in (item if pairs else (item,))]
    number, depth = 1 + sum(count for count, _ in below), 1 + max((depth for _, depth in below), default=0)
    if number > MAX_VALUES:
        raise mistake(node, f"its aliases stand for {number:,} values, at most {MAX_VALUES:,} are read")
    if depth > MAX_DEPTH:
        raise mistake(node, TOO_DEEP)
    sizes[id(node)] = number, depth
    return number, depth


def read_yaml(path: Path, loader: type[StrictLoader] = StrictLoader) -> Any:
    """The content of a YAML file; a UserError names the file and what is wrong in which line."""
    text = read_text(path, limit=MAX_BYTES)
    try:
        return load_yaml(text, loader)
    except ValueError as error:
        raise UserError(f"{path} is not readable YAML: {error}") from None


def load_yaml(text: str, loader: type[StrictLoader] = StrictLoader) -> Any:
    """The content of a YAML text; a ValueError says in one line what is wrong, and where it can in which line."""
    try:
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(first_line(error)) from None
