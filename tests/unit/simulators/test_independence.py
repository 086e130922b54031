"""The simulators are a second opinion: they share no code with the product that they test."""

import ast
from pathlib import Path

import simulators

PRODUCT = {"rating", "mediation", "control", "access", "web"}


def test_simulators_import_nothing_of_the_product() -> None:
    modules = list(Path(simulators.__file__).parent.rglob("*.py"))
    assert modules
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert not PRODUCT & {name.partition(".")[0] for name in names}, module.name
