"""Which settings the Collector's components have, by name, as their published schemas say.

Source: config.schema.yaml and README of each component (opentelemetry-collector and -contrib), and
Jaeger's own extensions, read in November 2026 for the releases that compose.yaml pins. Settings of
the first level; of some, the next.
"""

from __future__ import annotations

RETRY = {"enabled", "initial_interval", "max_interval", "max_elapsed_time", "multiplier"}
QUEUE = {"enabled", "sizer", "queue_size", "num_consumers", "storage", "batch", "block_on_overflow"}
SENDER = {"endpoint", "tls", "timeout", "compression", "headers", "retry_on_failure"}

COMPONENTS: dict[str, set[str]] = {
    "receivers/otlp": {"protocols"},
    "processors/memory_limiter": {
        "check_interval",
        "limit_mib",
        "spike_limit_mib",
        "limit_percentage",
        "spike_limit_percentage",
    },
    "processors/batch": {"timeout", "send_batch_size", "send_batch_max_size"},
    "processors/transform": {"error_mode", "trace_statements", "metric_statements"},
    "processors/resource": {"attributes"},
    "processors/tail_sampling": {
        "decision_wait",
        "num_traces",
        "expected_new_traces_per_sec",
        "decision_cache",
        "policies",
    },
    "connectors/spanmetrics": {
        "namespace",
        "metrics_flush_interval",
        "metrics_expiration",
        "aggregation_cardinality_limit",
        "histogram",
        "exemplars",
        "dimensions",
    },
    "connectors/forward": set(),
    "exporters/otlp_grpc": {*SENDER, "sending_queue"},
    "exporters/otlp_http": {*SENDER, "sending_queue"},
    "exporters/loadbalancing": {
        "routing_key",
        "protocol",
        "resolver",
        "retry_on_failure",
        "sending_queue",
    },
    "exporters/jaeger_storage_exporter": {"trace_storage"},
    "extensions/jaeger_storage": {"backends", "metric_backends"},
    "extensions/jaeger_query": {"storage", "base_path"},
}

WITHIN: dict[str, set[str]] = {
    "retry_on_failure": RETRY,
    "sending_queue": QUEUE,
    "dns": {"hostname", "port", "interval", "timeout"},
    "decision_cache": {"sampled_cache_size", "non_sampled_cache_size"},
    "histogram": {"unit", "explicit", "exponential", "disable"},
    "prometheus": {
        "endpoint",
        "connect_timeout",
        "metric_namespace",
        "latency_unit",
        "normalize_calls",
        "normalize_duration",
    },
}

POLICIES: dict[str, set[str]] = {
    "status_code": {"status_codes"},
    "string_attribute": {"key", "values"},
    "numeric_attribute": {"key", "min_value", "max_value"},
    "ottl_condition": {"error_mode", "span", "spanevent"},
    "latency": {"threshold_ms", "upper_threshold_ms"},
    "probabilistic": {"sampling_percentage", "hash_salt"},
}
