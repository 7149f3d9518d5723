"""What a scrape says, as Prometheus' own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in self.families:
            for sample in family.samples:
                place = sample.name, frozenset(sample.labels.items())
                assert place not in self.samples, place
                self.samples[place] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """One sample; 0 where it was never counted."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """All samples that have these labels together."""
        wanted = frozenset(labels.items())
        return sum(
            value for (each, has), value in self.samples.items() if each == name and wanted <= has
        )

    def names(self) -> set[str]:
        """Of every metric, as it stands behind # TYPE."""
        return {
            family.name + ("_total" if family.type == "counter" else "") for family in self.families
        }
