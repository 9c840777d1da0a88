"""Counters, gauges and histograms: plain numbers, read at a moment as a `Snapshot`.

They are OpenTelemetry's instruments in small, without its import at cold start. Names, units and attributes are
OpenTelemetry's; `/metrics` and OTLP both read the same snapshot.
"""

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Kind(StrEnum):
    """What an instrument's values mean."""

    COUNTER = "counter"
    """A sum that only grows, from the registry's start on."""
    GAUGE = "gauge"
    """The last value."""
    HISTOGRAM = "histogram"
    """How often values fell between which bounds, from the registry's start on."""


@dataclass(frozen=True)
class Distribution:
    """The values of a histogram."""

    # No NamedTuple as the others, which take a tenth of the time to import: its `count` has another meaning.

    count: int
    sum: float
    bounds: tuple[float, ...]
    """The upper bound of each bucket but the last, which has none; a value that equals it is in the bucket."""
    buckets: tuple[int, ...]
    """How many values each bucket holds, those of the buckets below it not among them: one more than `bounds`."""


class Point(NamedTuple):
    """One series of a metric."""

    attributes: Mapping[str, str]
    """By OpenTelemetry's names. An attribute that is empty is left out."""
    value: float | Distribution
    """A `Distribution` for a histogram."""
    since: float = 0.0
    """From when on a counter or a histogram counts, as seconds since 1970: it was zero then, or not there yet."""


class Metric(NamedTuple):
    """An instrument and its values."""

    name: str
    unit: str
    """By UCUM, as OpenTelemetry writes it: `s`, `By`, `{job}`."""
    description: str
    kind: Kind
    attributes: tuple[str, ...]
    """The names that its points may have."""
    points: tuple[Point, ...]


class Snapshot(NamedTuple):
    """All metrics that have values at one moment, in seconds since 1970."""

    taken_at: float
    metrics: tuple[Metric, ...]


class Registry:
    """All instruments of a process.

    Nothing is measured until `start`: until then an instrument costs one `if`.
    """

    def __init__(self) -> None:
        self.enabled = False
        self.read_at = 0.0
        """When the last snapshot was begun, or the start: a series that is new in the next one was not there then."""
        self._instruments: dict[str, Instrument] = {}
        self._collectors: list[Callable[[], None]] = []
        self._collecting = threading.Lock()

    @property
    def instruments(self) -> "tuple[Instrument, ...]":
        """All that were declared, in that order."""
        return tuple(self._instruments.values())

    def start(self) -> None:
        """Measure from now on, and from zero."""
        for instrument in self._instruments.values():
            instrument.clear()
        self.read_at = time.time()
        self.enabled = True

    def stop(self) -> None:
        """Measure no more, and forget the collectors. What was measured can be read until `start`."""
        self.enabled = False
        self._collectors.clear()

    def add_collector(self, collect: Callable[[], None]) -> None:
        """Have a function called before each snapshot: it sets gauges to what holds then.

        It is called in the thread that takes the snapshot, never twice at the same time, and should be done within a
        second. One that raises is logged, and harms nobody.
        """
        self._collectors.append(collect)

    def remove_collector(self, collect: Callable[[], None]) -> None:
        """Call it no more."""
        if collect in self._collectors:
            self._collectors.remove(collect)

    def snapshot(self) -> Snapshot:
        """What holds now. It may take as long as its collectors: do not call it on the event loop."""
        with self._collecting:
            for collect in tuple(self._collectors):
                try:
                    collect()
                except Exception:  # one source that fails must not hide the others
                    logger.debug("A collector of metrics failed", exc_info=True)
            began = time.time()
            metrics = tuple(metric for one in self._instruments.values() if (metric := one.read()).points)
            self.read_at = began
            return Snapshot(time.time(), metrics)

    def declare(self, instrument: "Instrument") -> None:
        """Have it in the snapshots; instruments do this themselves."""
        if instrument.name in self._instruments:
            raise ValueError(f"There are two instruments named {instrument.name}")
        self._instruments[instrument.name] = instrument


class Instrument:
    """What counters, gauges and histograms share. Its methods may be called from any thread.

    Args:
        registry: Where it belongs.
        name: OpenTelemetry's name.
        unit: By UCUM.
        description: One sentence or less, for who reads a dashboard.
        attributes: The names of its attributes. Each value needs all of them, as keywords with `_` for each dot; an
            empty string means that it has none. Their values have to be few: each combination is kept for ever.
        always: Attributes that are the same for all values, which do not name them.
    """

    kind: Kind

    def __init__(
        self,
        registry: Registry,
        name: str,
        unit: str,
        description: str,
        attributes: Sequence[str] = (),
        *,
        always: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self.attributes = (*attributes, *always)
        self._always = tuple(always.values())
        self._keywords = tuple(attribute.replace(".", "_") for attribute in attributes)
        self._registry = registry
        self._lock = threading.Lock()
        self._since: dict[tuple[str, ...], float] = {}
        registry.declare(self)

    def clear(self) -> None:
        """Forget all values."""
        raise NotImplementedError

    def read(self) -> Metric:
        """Its values now."""
        # Whoever reads knows since when each counts: who counts has no time for that.
        since = self._registry.read_at
        points = tuple(
            Point(self._named(key), value, self._since.setdefault(key, since)) for key, value in self._values()
        )
        return Metric(self.name, self.unit, self.description, self.kind, self.attributes, points)

    def _values(self) -> Sequence[tuple[tuple[str, ...], float | Distribution]]:
        raise NotImplementedError

    def _named(self, key: tuple[str, ...]) -> Mapping[str, str]:
        named = zip(self.attributes, key + self._always, strict=True)
        return MappingProxyType({attribute: value for attribute, value in named if value})

    def _key(self, attributes: dict[str, str]) -> tuple[str, ...]:
        if tuple(attributes) == self._keywords:  # in the order of their declaration, as nearly all come
            return tuple(attributes.values())
        if len(attributes) != len(self._keywords):
            raise TypeError(f"{self.name} has the attributes {self._keywords}, not {tuple(attributes)}")
        return tuple([attributes[keyword] for keyword in self._keywords])


class _Number(Instrument):
    """An instrument with one number for each combination of attributes."""

    def __init__(
        self, registry: Registry, name: str, unit: str, description: str, attributes: Sequence[str] = ()
    ) -> None:
        self._numbers: dict[tuple[str, ...], float] = {}
        super().__init__(registry, name, unit, description, attributes)

    def clear(self) -> None:
        """Forget all values: what was measured is there no more."""
        with self._lock:
            self._numbers.clear()
            self._since.clear()

    def _values(self) -> Sequence[tuple[tuple[str, ...], float]]:
        with self._lock:
            return list(self._numbers.items())


class Counter(_Number):
    """A sum that only grows."""

    kind = Kind.COUNTER

    def add(self, amount: float, **attributes: str) -> None:
        """Add an amount, which is not negative."""
        if not self._registry.enabled:
            return
        key = self._key(attributes)
        with self._lock:
            self._numbers[key] = self._numbers.get(key, 0) + amount


class Gauge(_Number):
    """A value that goes up and down."""

    kind = Kind.GAUGE

    def set(self, value: float, **attributes: str) -> None:
        """This is the value now."""
        if not self._registry.enabled:
            return
        key = self._key(attributes)
        with self._lock:
            self._numbers[key] = value

    def remove(self, **attributes: str) -> None:
        """There is no such value any more."""
        with self._lock:
            self._numbers.pop(self._key(attributes), None)


class Histogram(Instrument):
    """How values are spread.

    Args:
        registry: Where it belongs.
        name: OpenTelemetry's name.
        unit: By UCUM.
        description: One sentence or less.
        attributes: As of any instrument.
        bounds: The upper bounds of the buckets, rising.
        always: As of any instrument.
    """

    kind = Kind.HISTOGRAM

    def __init__(
        self,
        registry: Registry,
        name: str,
        unit: str,
        description: str,
        attributes: Sequence[str] = (),
        *,
        bounds: Sequence[float],
        always: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.bounds = tuple(bounds)
        self._buckets: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        super().__init__(registry, name, unit, description, attributes, always=always)

    def record(self, *values: float, **attributes: str) -> None:
        """Count values with the same attributes."""
        if not (values and self._registry.enabled):
            return
        key = self._key(attributes)
        buckets = [bisect_left(self.bounds, value) for value in values]
        with self._lock:
            if key not in self._buckets:
                self._buckets[key] = [0] * (len(self.bounds) + 1), [0.0]
            counts, total = self._buckets[key]
            for bucket in buckets:
                counts[bucket] += 1
            total[0] += sum(values)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._buckets.clear()
            self._since.clear()

    def _values(self) -> Sequence[tuple[tuple[str, ...], Distribution]]:
        with self._lock:
            return [
                (key, Distribution(sum(counts), total[0], self.bounds, tuple(counts)))
                for key, (counts, total) in self._buckets.items()
            ]
