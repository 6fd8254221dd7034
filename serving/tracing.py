"""OpenTelemetry traces, when the usual variables name a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`); else nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Any = None


def configure() -> None:
    """Send spans over OTLP/HTTP, in the background and in batches; a collector that is down costs nothing but them."""
    global _tracer  # noqa: PLW0603 - the SDK's provider is one a process, too
    if not any(os.environ.get(name) for name in VARIABLES):
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "stillhouse")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("stillhouse.serving")


@contextmanager
def request(method: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """The span of a request, below the client's when it sends `traceparent`; None without tracing."""
    if _tracer is None:
        yield None
        return
    from opentelemetry import propagate, trace

    context = propagate.extract(headers)
    attributes = {"http.request.method": method}
    with _tracer.start_as_current_span(method, context, kind=trace.SpanKind.SERVER, attributes=attributes) as span:
        yield span


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[None]:
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, attributes={f"stillhouse.{k}": v for k, v in attributes.items()}):
        yield


def finish() -> None:
    """Send what is not sent yet."""
    if _tracer is not None:
        from opentelemetry import trace

        trace.get_tracer_provider().shutdown()  # type: ignore[attr-defined]
