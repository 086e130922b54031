"""The formats of the sources of a site: each source's numbers are read by its dial plan, where it has one."""

from collections.abc import Mapping

from mediation.formats import Parse, parser_named
from rating.dial_plan import Dialling, DialPlan


class SourceFormats:
    """Finds the format of a source's lines. For any thread; the plans are replaced by the daemon."""

    def __init__(self, plans: Mapping[str, DialPlan] | None = None) -> None:
        """The dial plans, by the names of the sources that have one."""
        self._plans: dict[str, DialPlan] = {}
        self._diallings: dict[str, Dialling] = {}
        self._parsers: dict[tuple[str, str], Parse] = {}
        self.use_plans(plans or {})

    @property
    def plans(self) -> dict[str, DialPlan]:
        """Those in force."""
        return self._plans

    def use_plans(self, plans: Mapping[str, DialPlan]) -> None:
        """Read numbers by these from now on; a delivery that was begun is read to its end by the old ones."""
        if self._plans != plans:
            self._plans = dict(plans)
            self._diallings = {source: Dialling(plan) for source, plan in plans.items()}
            self._parsers = {}

    def dialling(self, source: str) -> Dialling | None:
        """A source's plan at work."""
        return self._diallings.get(source)

    def parser(self, name: str, source: str) -> Parse:
        """The format of a source's lines, by the name that their batch and their record in suspense carry."""
        parse = self._parsers.get((name, source))
        if parse is None:
            parsers = self._parsers  # of the plans of now: they may be replaced meanwhile
            parse = parsers[name, source] = parser_named(name, self.dialling(source))
        return parse
