"""Which names are taken, and what a claimed file is called."""

import os
from pathlib import Path

import pytest

from mediation.feeds.drop_directory import DropDirectory, may_be_taken, own_name
from tests.builders import micros

AT = micros("2026-11-20T15:00:00.000250Z")


@pytest.fixture
def drop(tmp_path: Path) -> DropDirectory:
    made = DropDirectory(tmp_path, settle_s=1, torn_after_s=60, is_whole=lambda _: False)
    made.prepare()
    return made


def claimed(drop: DropDirectory, name: str | bytes, content: bytes = b"") -> Path:
    path = drop.directory / os.fsdecode(name)
    path.write_bytes(content)
    return drop.claim(path, AT)


@pytest.mark.parametrize("name", ["Master.csv", "a", "a.gz", "tmp", "x.tmp.csv", "-", "a b", "part"])
def test_a_file_is_taken(name: str) -> None:
    assert may_be_taken(name)


@pytest.mark.parametrize("name", [".a", "a.tmp", "a.TMP", "a.part", "a.csv.filepart", "a~", "a.gz~", ".a.csv.Xq3"])
def test_a_file_that_is_hidden_or_not_finished_is_never_taken(name: str) -> None:
    assert not may_be_taken(name)


def test_a_claimed_name_says_when_and_what(drop: DropDirectory) -> None:
    path = claimed(drop, "Master.csv")
    assert path == drop.directory / "claimed" / "20261120T150000.000250Z-000001-Master.csv"
    assert own_name(path) == "Master.csv"
    assert not (drop.directory / "Master.csv").exists()


def test_a_name_that_comes_again_in_the_same_microsecond_is_another_file(drop: DropDirectory) -> None:
    first, second = claimed(drop, "a.csv", b"1"), claimed(drop, "a.csv", b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    assert sorted([second, first]) == [first, second]


@pytest.mark.parametrize("put_away", ["put_away", "fail"])
def test_a_name_is_not_given_again_after_a_restart_with_the_clock_set_back(drop: DropDirectory, put_away: str) -> None:
    first = claimed(drop, "a.csv", b"1")
    kept = drop.put_away(first) if put_away == "put_away" else drop.fail(first, AT)
    again = DropDirectory(drop.directory, settle_s=1, torn_after_s=60, is_whole=lambda _: False)
    second = claimed(again, "a.csv", b"2")
    assert second.name != first.name
    assert kept.read_bytes() == b"1"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("März.csv", "März.csv"),
        (b"\xff\xfe.csv", "\ufffd\ufffd.csv"),
        ("a\nb.csv", "a_b.csv"),
        ("a-b-c.csv", "a-b-c.csv"),
        ("x" * 200 + ".gz", "x" * 47 + ".gz"),
        ("€" * 80, "€" * 50),
    ],
)
def test_whatever_a_file_is_called_its_claimed_name_is_text_and_fits(
    drop: DropDirectory, name: str | bytes, shown: str
) -> None:
    path = claimed(drop, name, b"content")
    assert own_name(path) == shown
    assert path.name.encode().decode() == path.name
    assert path.read_bytes() == b"content"
    assert drop.claimed() == [path]


def test_a_failed_file_has_a_name_of_its_own_too(drop: DropDirectory) -> None:
    for content in (b"1", b"2"):
        path = drop.directory / "a.gz"
        path.write_bytes(content)
        drop.fail(path, AT)
    assert drop.failed() == 2
