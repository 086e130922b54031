"""Documentation that is checked: what the program takes, the documents name, and what they name exists."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from mediation.assembly import GAUGES
from mediation.config import Config
from mediation.config.tables import Named, NamedByType, Section, Spec, specs
from mediation.pipeline.metrics import PipelineMetrics
from tests.test_tidy import ROOT, clean, paths

FENCE: Final = re.compile(r"^( *)(```+|~~~+)[^\n]*\n(.*?)^\1\2", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"!?\[[^\]\n]*\]\(<?([^)\s>]+)>?(?: [^)]*)?\)|^\[[^\]\n]+\]:\s+(\S+)", re.MULTILINE)
INLINE: Final = re.compile(r"`([^`\n]+)`")
MAKE: Final = re.compile(r"(?:^|[;&|(] *|\$ |sudo )make((?: +[^\s;&|)#]+)+)", re.MULTILINE)
TARGET: Final = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


@cache
def documents() -> dict[str, str]:
    """Every Markdown file of ours, by its path."""
    return {name: (ROOT / name).read_text() for name in paths() if name.endswith(".md") and "/vendor/" not in name}


def document(name: str) -> str:
    """One of them; a document that is not there documents nothing."""
    return documents().get(name, "")


def code(text: str) -> Iterator[str]:
    """Fenced blocks and inline code of a document."""
    yield from (block[3] for block in FENCE.finditer(text))
    yield from INLINE.findall(FENCE.sub("", text))


@dataclass(frozen=True)
class Entry:
    """One key of the configuration."""

    path: str
    """Dotted, with NAME where the site gives the name: `feeds.NAME.sources.NAME.token`."""
    default: str = ""
    """As TOML writes it; empty where there is none."""
    companions: tuple[str, ...] = ()
    """Further keys of the same table that go with it, such as `tls_key` with `listen`."""


def reference(section: type = Config, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Every key once for each section that has it, from the sections themselves."""
    for spec in specs(section):
        here = (*path, spec.key)
        match spec.reader:
            case Section(section=inner):
                yield from reference(inner, here)
            case Named(section=inner):
                yield from reference(inner, (*here, "NAME"))
            case NamedByType(sections=sections):
                yield Entry(".".join((*here, "NAME", "type")))
                for inner in sections.values():
                    yield from reference(inner, (*here, "NAME"))
            case _:
                yield entry(spec, here)


def entry(spec: Spec, path: tuple[str, ...]) -> Entry:
    default = "" if spec.default is None else spec.reader.show(spec.default)
    return Entry(".".join(path), default, tuple(key for key in spec.reader.keys(spec.key) if key != spec.key))


def test_every_configuration_key_is_in_the_reference_table_with_its_default() -> None:
    """mediation/README.md has a table with a row per key: the dotted path in backticks first, the default after it."""
    text = document("mediation/README.md")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    places = []
    for wanted in dict.fromkeys(reference()):
        described = [row for row in rows if row.startswith(f"| `{wanted.path}` |")]
        if not described:
            places.append(f"mediation/README.md: no row for the key: | `{wanted.path}` | …")
        elif wanted.default and not any(f"`{wanted.default}`" in row for row in described):
            places.append(f"mediation/README.md: the row of {wanted.path} must name its default `{wanted.default}`")
    for companion in ("tls_certificate", "tls_key", "tls_client_ca", "_file", "_credential"):
        places += [] if companion in text else [f"mediation/README.md: nothing about the key {companion}"]
    clean(places)


def test_the_reference_table_has_no_key_that_is_gone() -> None:
    known = {wanted.path for wanted in reference()}
    known |= {f"{wanted.path.rpartition('.')[0]}.{key}" for wanted in reference() for key in wanted.companions}
    tables = {path.split(".")[0] for path in known}
    described = re.findall(r"^\| `([a-z]+\.[\w.]+)` \|", document("mediation/README.md"), re.MULTILINE)
    gone = [path for path in described if path.split(".")[0] in tables and path not in known]
    clean([f"mediation/README.md: {path} is no key" for path in gone])


def test_every_command_is_in_the_readme() -> None:
    parser = import_module("mediation.cli").build_parser()
    clean([f"README.md: no word about `{c}`" for c in commands(parser, "tollkeeper") if c not in document("README.md")])


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """Every command as it is typed, without its options: `tollkeeper import tariff`."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for word, inner in group.choices.items():
            yield from commands(inner, f"{name} {word}")
    if not groups:
        yield name


def test_relative_links_lead_somewhere() -> None:
    places = []
    for name, text in documents().items():
        for match in LINK.finditer(FENCE.sub("", text)):
            target = (match[1] or match[2]).partition("#")[0]
            if not target or re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            if not (ROOT / name).parent.joinpath(target).exists():
                places.append(f"{name}: the link to {target} leads nowhere")
    clean(places)


def test_make_targets_in_the_documents_exist() -> None:
    targets = make_targets()
    places = []
    for name, text in documents().items():
        for block in code(text):
            for words in MAKE.findall(block):
                named = [word for word in words.split() if not word.startswith("-") and "=" not in word]
                places += [f"{name}: make has no target {word}" for word in named if word not in targets]
    clean(places)


def make_targets() -> set[str]:
    """The targets that a person calls by name."""
    return set(TARGET.findall((ROOT / "Makefile").read_text()))


@pytest.mark.parametrize("target", sorted(make_targets()))
def test_every_make_target_explains_itself(target: str) -> None:
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(), re.MULTILINE), (
        "make help would not list it"
    )


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    assert "## [Unreleased]" in document("CHANGELOG.md") or "## Unreleased" in document("CHANGELOG.md")


def test_every_metric_is_documented() -> None:
    registry = CollectorRegistry()
    PipelineMetrics(registry, {"pop": 1})
    names = {metric.name for metric in registry.collect()} | set(GAUGES)
    documented = document("mediation/README.md")
    missing = [name for name in sorted(names) if f"`{name}" not in documented]
    assert not missing, f"mediation/README.md: no word about {', '.join(missing)}"
