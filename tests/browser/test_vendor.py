"""What was vendored for the browser tests is what its makers published."""

from tests.browser.visitor import RULES, VENDOR, axe_source, sums


def test_axe_is_as_it_was_vendored() -> None:
    assert {name: digest for name, (digest, _) in sums().items()} == {
        name: found for name, (_, found) in sums().items()
    }
    assert {file.name for file in VENDOR.iterdir()} == {*sums(), "SHA256SUMS", "README.md"}
    assert "axe v4.14.1" in axe_source()[:40]
    assert all(rule in axe_source() for rule in RULES)
