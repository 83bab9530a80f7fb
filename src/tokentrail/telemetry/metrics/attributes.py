"""The attributes of metric points: few, bounded, and only allowed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.support.bounded import BoundedCache
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.label_values import LabelValues

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from opentelemetry.util.types import AttributeValue

    from tokentrail.model.records import Count, Operation, Request
    from tokentrail.telemetry.metrics.series import Attributes, MetricSeries

MAX_SERIES: Final = 512
"""How many kinds of calls have their attributes cached."""


class SeriesAttributes:
    """The attributes of all points of similar calls, created for the first of them."""

    __slots__ = ("base", "refined", "series", "timed")

    def __init__(self, base: Attributes, refined: Attributes, timed: Attributes) -> None:
        self.base = base
        """The attributes of every conventional point."""
        self.refined = refined
        """The same, with the additions of OpenAI's conventions; not for the chunk metrics."""
        self.timed = timed
        """The same, with the error if the calls failed."""
        self.series: dict[Hashable, MetricSeries] = {}
        """The series of the calls, by metric names, outcome, waste reason and token sources."""


class MetricAttributes:
    """Builds the attributes of points; see the setting ``metric_attributes``."""

    def __init__(self, allowed: Collection[str], asked: tuple[str, ...] = ()) -> None:
        """``asked``: the application's own attributes that points may have."""
        self._allowed = frozenset(allowed)
        self._models = LabelValues(semconv.REQUEST_MODEL)
        self._asked = {name: LabelValues(name) for name in asked}
        self._series: BoundedCache[Hashable, SeriesAttributes] = BoundedCache(MAX_SERIES)
        self._reported: dict[str, LabelValues] = {}
        """The tables of attributes whose values come from servers, and of server addresses."""

    def of_series(self, operation: Operation) -> SeriesAttributes:
        """Return the attributes of all calls like this one."""
        request, response = operation.request, operation.response
        if request.attribution and self._asked:  # its values are unbounded
            return self._made(operation)
        named = () if response is None else (
            response.model, response.service_tier, response.system_fingerprint
        )  # fmt: skip
        endpoint, error = request.endpoint, operation.error_type
        key = (request.operation, request.model, endpoint.provider, endpoint.key, named, error)
        shared = self._series.get(key)
        if shared is None:
            return self._series.keep(key, self._made(operation))
        return shared

    def _made(self, operation: Operation) -> SeriesAttributes:
        response, error = operation.response, operation.error_type
        model, proven = operation.request.model, _succeeded(operation)
        if proven and model is not None and self._models.is_new(model):
            self._series.clear()  # cached attributes may have it as "other"
        named = response.model if response else None
        base = self.base(operation.request, named, proven=proven)
        refined = self._refined(operation, base)
        timed = refined
        if error is not None:
            timed = {**refined, semconv.ERROR_TYPE: self._of(semconv.ERROR_TYPE, error)}
        return SeriesAttributes(base, refined, timed)

    def base(
        self, request: Request, response_model: str | None, *, proven: bool = True
    ) -> Attributes:
        """Return the attributes of conventional points; ``proven``: see :class:`LabelValues`."""
        endpoint, allowed = request.endpoint, self._allowed
        attributes = self.asked(request)  # our own attributes override these
        attributes[semconv.OPERATION_NAME] = request.operation
        attributes[semconv.PROVIDER_NAME] = endpoint.provider
        if request.model is not None:
            attributes[semconv.REQUEST_MODEL] = self._models.bounded(request.model, proven=proven)
        if response_model is not None and semconv.RESPONSE_MODEL in allowed:
            attributes[semconv.RESPONSE_MODEL] = self._of(semconv.RESPONSE_MODEL, response_model)
        if endpoint.address is not None and semconv.SERVER_ADDRESS in allowed:
            attributes[semconv.SERVER_ADDRESS] = self._of(semconv.SERVER_ADDRESS, endpoint.address)
        if endpoint.port is not None and semconv.SERVER_PORT in allowed:
            attributes[semconv.SERVER_PORT] = self._of(semconv.SERVER_PORT, endpoint.port)
        return attributes

    def asked(self, request: Request) -> Attributes:
        """Return the application's own attributes of a call that points may have, without lists."""
        if not request.attribution:
            return {}
        asked = dict(request.attribution)
        return {
            name: values.bounded(asked[name])
            for name, values in self._asked.items()
            if isinstance(asked.get(name), (str, bool, int, float))
        }

    def _refined(self, operation: Operation, base: Attributes) -> Attributes:
        response, allowed = operation.response, self._allowed
        if response is None:
            return base
        added: Attributes = {}
        if response.service_tier is not None and semconv.RESPONSE_SERVICE_TIER in allowed:
            tier = response.service_tier
            added[semconv.RESPONSE_SERVICE_TIER] = self._of(semconv.RESPONSE_SERVICE_TIER, tier)
        if response.system_fingerprint is not None and semconv.SYSTEM_FINGERPRINT in allowed:
            fingerprint = response.system_fingerprint
            added[semconv.SYSTEM_FINGERPRINT] = self._of(semconv.SYSTEM_FINGERPRINT, fingerprint)
        return {**base, **added} if added else base

    def own_attributes(self, operation: Operation) -> Attributes:
        """Return the attributes of our own counters."""
        request = operation.request
        attributes = self.asked(request)
        attributes[semconv.OPERATION_NAME] = request.operation
        attributes[semconv.PROVIDER_NAME] = request.endpoint.provider
        attributes[semconv.OUTCOME] = operation.outcome.value
        if request.model is not None:
            proven = _succeeded(operation)
            attributes[semconv.REQUEST_MODEL] = self._models.bounded(request.model, proven=proven)
        return attributes

    def with_value(self, operation: Operation, name: str, value: str) -> Attributes:
        """Return the attributes of points that are split by a value from the server."""
        attributes = self.own_attributes(operation)
        del attributes[semconv.OUTCOME]
        attributes[name] = self._of(name, value)
        return attributes

    def billed_tokens(
        self, operation: Operation, kind: str, count: Count, shared: SeriesAttributes
    ) -> Attributes:
        """Return those of tokens that only our own counter has, with what decides their price."""
        names = (semconv.RESPONSE_MODEL, semconv.RESPONSE_SERVICE_TIER)
        known = {name: shared.refined[name] for name in names if name in shared.refined}
        return {**self.own_tokens(operation, kind, count), **known}

    def with_response_model(self, operation: Operation, attributes: Attributes) -> Attributes:
        """Return ``attributes`` with the response model, if it is known and allowed."""
        named = operation.response.model if operation.response else None
        if named is None or semconv.RESPONSE_MODEL not in self._allowed:
            return attributes
        return {**attributes, semconv.RESPONSE_MODEL: self._of(semconv.RESPONSE_MODEL, named)}

    def of_account(self, operation: Operation, kind: str) -> Attributes:
        """Return the attributes of a provider's rate limit, which is the same for all callers."""
        request = operation.request
        attributes: Attributes = {semconv.PROVIDER_NAME: request.endpoint.provider}
        if request.model is not None:
            proven = _succeeded(operation)
            attributes[semconv.REQUEST_MODEL] = self._models.bounded(request.model, proven=proven)
        attributes[semconv.RATE_LIMIT_TYPE] = kind
        return attributes

    def own_tokens(self, operation: Operation, kind: str, count: Count) -> Attributes:
        """Return the attributes of our own token counter."""
        source = {semconv.TOKEN_TYPE: kind, semconv.SOURCE: count.source.value}
        return {**self.own_attributes(operation), **source}

    def bounded(self, name: str, attributes: Attributes) -> Attributes:
        """Return ``attributes`` with the values of attribute ``name`` bounded, if it is present."""
        if name not in attributes:
            return attributes
        return {**attributes, name: self._of(name, attributes[name])}

    def _of(self, name: str, value: AttributeValue) -> AttributeValue:
        names = self._reported.get(name)
        if names is None:
            names = self._reported.setdefault(name, LabelValues(name))
        return names.bounded(value)


def _succeeded(operation: Operation) -> bool:
    return operation.answered and operation.error_type is None
