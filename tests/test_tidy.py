"""The rules of the house as tests: sizes, names, words and layout, over every file that git would take.

What ruff and mypy can say is theirs; here is what they cannot. A rule that fails lists every place at once.
"""

import ast
import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("mediation", "rating", "control", "access", "web", "simulators")
TOP_LEVEL: Final = {
    *PACKAGES,
    *("tests", "systemd", ".ci", ".gitignore", "pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "LICENSE"),
}

MODULE_LINES: Final = 400
TEST_LINES: Final = 600
FUNCTION_LINES: Final = 60

NAMES_THAT_OWN_NOTHING: Final = {"util", "utils", "helper", "helpers", "common", "base", "misc", "core"}

MAY_PRINT: Final = ("mediation/cli", "mediation/bench", "simulators/", "tests/")
"""A command's answer goes to stdout; everything else logs."""

FLOATS_IN_MONEY: Final[dict[str, str]] = {}
"""Modules of rating/ and control/ that may call `float`, each with its reason. Money and durations never are."""

LEFT_OVER: Final = re.compile(r"\b(FIX[M]E|TO[D]O|X[X]X)\b")
MACHINE: Final = re.compile(r"(?<![\w.~-])/(work|root|home/\w+)/|pypi\.org|pythonhosted\.org|(index|extra)[-_]url\b")
SILENCED: Final = re.compile(r"#\s*(type:\s*ignore\[[\w, -]+\]|noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)")
SILENCED_WHOLLY: Final = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:)|mypy:\s*ignore-errors|ruff:\s*noqa)")

README_SECTIONS: Final = ("owns", "does not own", "invariants")
README_WALK: Final = re.compile(r"\b(walk|one (cdr|record|call|bar|order|bill))\b")


@cache
def paths() -> tuple[str, ...]:
    """Every file that is in git or would be, relative to the root, with slashes."""
    command = ("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        listing = ""
    # Nothing listed: an unpacked archive, no git, or another user's checkout, which git refuses to look into.
    found = [name for name in listing.split("\0") if name] or list(_walk(ROOT, _ignored()))
    return tuple(sorted(name for name in set(found) if (ROOT / name).is_file()))


def _ignored() -> list[str]:
    lines = (ROOT / ".gitignore").read_text().split()
    return [".git", *(line.strip("/") for line in lines)]


def _walk(directory: Path, ignored: list[str]) -> Iterator[str]:
    for path in directory.iterdir():
        if any(fnmatch(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from _walk(path, ignored)
        else:
            yield path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[str, str]]:
    """Every file of ours that is text; the corpus holds other people's formats, and vendored scripts other's work."""
    for name in paths():
        if "/corpus/" in name or "/vendor/" in name:
            continue
        try:
            yield name, (ROOT / name).read_bytes().decode()
        except UnicodeDecodeError:
            continue


def modules(*under: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Path, source and tree of every Python module, or of those under some directories."""
    for name, text in texts():
        if name.endswith(".py") and (not under or name.startswith(under)):
            yield name, text, _tree(name, text)


@cache
def _tree(name: str, text: str) -> ast.Module:
    return ast.parse(text, name)


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and line of every call: `sleep` for both `sleep(1)` and `asyncio.sleep(1)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node.lineno
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr, node.lineno


def clean(places: list[str]) -> None:
    """Fails with all the places that break a rule."""
    if places:
        pytest.fail("\n".join(["", *places]), pytrace=False)


def test_modules_are_short() -> None:
    clean(
        [
            f"{name}: {lines} lines, at most {most}: what wants its own room?"
            for name, text, _ in modules()
            if (lines := text.count("\n")) > (most := TEST_LINES if name.startswith("tests/") else MODULE_LINES)
        ]
    )


def test_functions_fit_on_a_screen() -> None:
    places = []
    for name, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES:
                    places.append(f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}")
    clean(places)


def test_every_module_says_what_it_owns() -> None:
    # An empty __init__.py owns nothing.
    clean([f"{name}: no docstring" for name, text, tree in modules() if text and not ast.get_docstring(tree)])


def test_names_say_what_they_own() -> None:
    clean(
        [
            f"{name}: {part} owns nothing in particular"
            for name in paths()
            for part in Path(name).parts
            if part.split(".")[0].lower() in NAMES_THAT_OWN_NOTHING
        ]
    )


def test_classes_use_the_words_of_the_glossary() -> None:
    clean(
        [
            f"{name}:{node.lineno}: {node.name}: write CDR"
            for name, _, tree in modules()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and "Cdr" in node.name
        ]
    )


def test_nothing_is_left_over_and_nothing_is_about_one_machine() -> None:
    places = []
    for name, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            if LEFT_OVER.search(line):
                places.append(f"{name}:{number}: left over: {line.strip()}")
            if MACHINE.search(line):
                places.append(f"{name}:{number}: a path or host of one machine: {line.strip()}")
    clean(places)


def test_lines_end_cleanly() -> None:
    places = []
    for name, text in texts():
        # A recipe's tab is make's own grammar.
        tabs = text.count("\t") if Path(name).name != "Makefile" else 0
        if tabs:
            places.append(f"{name}: {tabs} tabs")
        blanks = [number for number, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
        if blanks:
            places.append(f"{name}: blanks or CR at the end of lines {blanks[:5]}")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            places.append(f"{name}: must end with one line end")
    clean(places)


def test_what_is_silenced_says_why() -> None:
    places = []
    for name, text, _ in modules():
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT:
                continue
            where = f"{name}:{token.start[0]}: {token.string}"
            if SILENCED_WHOLLY.search(token.string):
                places.append(f"{where}: name the rule that is silenced, in brackets or after a colon")
            elif SILENCED.search(token.string) and not re.search(r"[a-z]{2,}", SILENCED.sub("", token.string)):
                places.append(f"{where}: say why, in the same line")
    clean(places)


def test_only_commands_print() -> None:
    clean(
        [
            f"{name}:{line}: print"
            for name, _, tree in modules(*PACKAGES)
            if not name.startswith(MAY_PRINT)
            for called, line in calls(tree)
            if called == "print"
        ]
    )


def test_money_never_meets_a_float() -> None:
    clean(
        [
            f"{name}:{line}: float: use whole micro-units, or name the module and its reason in FLOATS_IN_MONEY"
            for name, _, tree in modules("rating/", "control/")
            if name not in FLOATS_IN_MONEY
            for called, line in calls(tree)
            if called == "float"
        ]
    )
    clean([f"{name}: allowed a float, and is gone" for name in FLOATS_IN_MONEY if name not in paths()])


def test_unit_tests_do_not_wait() -> None:
    clean(
        [
            f"{name}:{line}: sleep: time is given in, never waited for"
            for name, _, tree in modules("tests/unit/")
            for called, line in calls(tree)
            if called == "sleep"
        ]
    )


def test_the_top_level_holds_the_layout_and_nothing_else() -> None:
    clean([f"{name}: not part of the layout" for name in sorted({path.split("/")[0] for path in paths()} - TOP_LEVEL)])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_owns(package: str) -> None:
    readme = ROOT / package / "README.md"
    if not readme.is_file():
        pytest.fail(f"{package}/README.md is missing", pytrace=False)
    text = readme.read_text()
    if all(Path(name).name == "__init__.py" for name, _, _ in modules(f"{package}/")):
        assert "yet" in text, f"{package} holds nothing yet, and its README.md does not say so"
        return
    headings = [line.strip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    missing = [section for section in README_SECTIONS if section not in headings]
    if not any(README_WALK.search(heading) for heading in headings):
        missing.append("a walk through it for one CDR")
    clean([f"{package}/README.md: no section: {section}" for section in missing])


def test_no_module_is_dead() -> None:
    """Each is imported by the product (simulators also by tests), named in a string, or started by name."""
    product = set(_used_by(*(f"{package}/" for package in PACKAGES)))
    tests = set(_used_by("tests/"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].values()
    started = {script.partition(":")[0] for script in scripts}
    places = []
    for name, _, _ in modules(*(f"{package}/" for package in PACKAGES)):
        dotted = name.removesuffix(".py").replace("/", ".")
        if dotted.endswith(("__init__", "__main__")) or dotted in started | product:
            continue
        if dotted.startswith("simulators.") and dotted in tests:
            continue
        places.append(f"{name}: nothing {'but tests uses' if dotted in tests else 'uses'} it")
    clean(places)


def _used_by(*under: str) -> Iterator[str]:
    """Dotted names that the modules under some directories import, or spell out as text."""
    for name, _, tree in modules(*under):
        package = Path(name).parent.as_posix().replace("/", ".").split(".")
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    above = package[: len(package) - level + 1] if level else []
                    origin = ".".join([*above, *([module] if module else [])])
                    yield origin
                    yield from (f"{origin}.{alias.name}" for alias in names)
                case ast.Constant(value=str(value)) if "." in value and " " not in value:
                    yield value.partition(":")[0]
