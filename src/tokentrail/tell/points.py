"""The attributes of metric points: few, bounded, and only those that are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.tell import names

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.util.types import AttributeValue

    from tokentrail.operation import Count, Operation, Request

    Attributes = dict[str, AttributeValue]

MOST_MODELS: Final = 200
"""Names of models, and values of each attribute of the application's own, that are told apart on
metrics in the life of a process."""
OTHER: Final = "_OTHER"
"""Stands for every further one: a program may send a new name with each call."""


class Points:
    """Makes the attributes of points; see the setting ``metric_attributes``."""

    def __init__(self, allowed: Collection[str], asked: tuple[str, ...] = ()) -> None:
        """``asked``: the application's own attributes that points may bear."""
        self._allowed = frozenset(allowed)
        self._models: set[str] = set()
        self._asked: dict[str, set[AttributeValue]] = {name: set() for name in asked}

    def base(self, request: Request, response_model: str | None) -> Attributes:
        """Return what every conventional point bears."""
        endpoint, allowed = request.endpoint, self._allowed
        attributes: Attributes = {
            names.OPERATION_NAME: request.operation,
            names.PROVIDER_NAME: endpoint.provider,
        }
        if request.model is not None:
            attributes[names.REQUEST_MODEL] = self._bounded(request.model)
        if response_model is not None and names.RESPONSE_MODEL in allowed:
            attributes[names.RESPONSE_MODEL] = self._bounded(response_model)
        if endpoint.address is not None and names.SERVER_ADDRESS in allowed:
            attributes[names.SERVER_ADDRESS] = endpoint.address
        if endpoint.port is not None and names.SERVER_PORT in allowed:
            attributes[names.SERVER_PORT] = endpoint.port
        if request.attribution:
            attributes.update(self.asked(request))
        return attributes

    def asked(self, request: Request) -> Attributes:
        """Return the application's own attributes of a call that points may bear."""
        said = dict(request.attribution)
        return {
            name: self._one_of(values, said[name])
            for name, values in self._asked.items()
            if name in said
        }

    def refined(self, operation: Operation, base: Attributes) -> Attributes:
        """Return ``base`` with what OpenAI's refinement adds to all but the chunk metrics."""
        response, allowed = operation.response, self._allowed
        if response is None:
            return base
        added = {}
        if response.service_tier is not None and names.RESPONSE_SERVICE_TIER in allowed:
            added[names.RESPONSE_SERVICE_TIER] = response.service_tier
        if response.system_fingerprint is not None and names.SYSTEM_FINGERPRINT in allowed:
            added[names.SYSTEM_FINGERPRINT] = response.system_fingerprint
        return {**base, **added} if added else base

    def own(self, operation: Operation) -> Attributes:
        """Return what the points of our own counters bear."""
        request = operation.request
        attributes: Attributes = {
            names.OPERATION_NAME: request.operation,
            names.PROVIDER_NAME: request.endpoint.provider,
            names.ENDING: operation.ending.value,
        }
        if request.model is not None:
            attributes[names.REQUEST_MODEL] = self._bounded(request.model)
        if request.attribution:
            attributes.update(self.asked(request))
        return attributes

    def own_tokens(self, operation: Operation, kind: str, count: Count) -> Attributes:
        """Return what the points of our own counter of tokens bear."""
        source = {names.TOKEN_TYPE: kind, names.SOURCE: count.source.value}
        return {**self.own(operation), **source}

    def _bounded(self, model: str) -> str:
        models = self._models
        if model in models:
            return model
        if len(models) >= MOST_MODELS:
            return OTHER
        models.add(model)
        return model

    def _one_of(self, values: set[AttributeValue], value: AttributeValue) -> AttributeValue:
        """Return ``value``, or what stands for every further one, as for models."""
        if value in values:
            return value
        if len(values) >= MOST_MODELS:
            return OTHER
        values.add(value)
        return value
