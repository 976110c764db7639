"""Where in a study file something stands: errors are told with their line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from modalens.errors import InputError, listed, nearest
from modalens.studyfile.content import Content


def composed(source: Path, text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            f"{source}{f', line {mark.line + 1}' if mark else ''}: no valid YAML: {getattr(error, 'problem', error)}."
        ) from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(
            f"{source}: expected keys such as model: and inputs:, came {'nothing' if root is None else 'something else'}."
        )
    for node in _mappings(root):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise InputError(
                    f"{source}, line {key.start_mark.line + 1}: {key.value!r} stands twice; every name once."
                )
            seen.add(key.value)
    return root


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _place(root: yaml.Node, path: tuple[Any, ...]) -> tuple[int, tuple[str, ...]]:
    """The line of the deepest place on this path that the file has, and the path so far. Steps that the file does not
    have are passed over: what a value might have been (int, dict), or a missing key.
    """
    node, line, there = root, root.start_mark.line, []
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                continue
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            continue
        there.append(str(step))
    return line + 1, tuple(there)


def described(source: Path, root: yaml.Node, errors: Sequence[Any], kind: type[Content]) -> str:
    """All that is wrong with a study file of this kind, a line each; where a value may be of several kinds, what each of them
    expects.
    """
    told: dict[str, list[str]] = {}
    places = [_place(root, tuple(error["loc"])) for error in errors]
    for error, (line, there) in zip(errors, places, strict=True):
        inside = [deeper for _, deeper in places if len(deeper) > len(there) and deeper[: len(there)] == there]
        if inside and error["type"] != "missing":
            continue  # the value may be of another kind too, and is but for something inside it
        path = tuple(error["loc"])
        where = ".".join(there)
        if error["type"] == "extra_forbidden":
            known = kind.section(path).model_fields
            place, says = where, f"unknown key{nearest(str(path[-1]), known)}; known are {listed(known)}"
        elif error["type"] == "missing":
            place, says = ".".join(map(str, path)), "is missing"
        else:
            expected = error["msg"].removeprefix("Input should be ").split(", unable")[0]
            place, says = where, f"came {error['input']!r:.60}, expected {expected}"
        told.setdefault(f"{source}, line {line}: {place}", []).append(says)
    return "\n".join(
        f"{place}: {says[0]}{''.join(f' or {_last(one)}' for one in says[1:])}." for place, says in told.items()
    )


def _last(says: str) -> str:
    return says.rpartition("expected ")[2]


class at:
    """Errors inside are told with the file and the line of this place."""

    def __init__(self, source: Path, root: yaml.Node, path: tuple[Any, ...]) -> None:
        self.place = f"{source}, line {_place(root, path)[0]}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.place}: {error}") from error
