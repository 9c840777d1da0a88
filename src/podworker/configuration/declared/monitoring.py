"""What the worker tells about itself: logs, metrics and traces."""

from pydantic import SecretStr

from podworker.configuration.kinds import Declarations, LogFormat, LogLevel, Switch, WebAddress, setting


class MonitoringSettings(Declarations):
    """What the worker tells about itself: logs, metrics and traces."""

    log_level: LogLevel = setting(
        "Monitoring",
        "info",
        "The least important messages that are logged. Upper or lower case.",
    )
    log_format: LogFormat = setting(
        "Monitoring",
        "auto",
        "How: `json`, one object a line; `text`, for people; `auto` is `json` on RunPod and `text` elsewhere.",
    )
    log_content: bool = setting(
        "Monitoring",
        False,
        "Log what jobs and answers hold, too. Secrets are masked even then; what people write to a model may still be "
        "private.",
    )
    metrics: Switch = setting(
        "Monitoring",
        "auto",
        "Measure, for `/metrics` and OTEL_EXPORTER_OTLP_ENDPOINT. `auto`: where one of the two is there. It needs the "
        "extra `metrics`.",
    )
    traces: bool = setting(
        "Monitoring",
        False,
        "Send a trace of each job to OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
    otel_exporter_otlp_endpoint: WebAddress | None = setting(
        "Monitoring",
        None,
        "Where metrics and traces are sent, by OTLP over HTTP, such as `http://collector:4318`. Unset: nowhere. It "
        "needs the extra `otlp`.",
    )
    otel_exporter_otlp_headers: SecretStr | None = setting(
        "Monitoring",
        None,
        "Headers for it, such as `Authorization=Bearer%20KEY`, separated by commas; values are written as in URLs.",
    )
    otel_service_name: str = setting(
        "Monitoring",
        "podworker",
        "The name of this endpoint in metrics and traces. Unset: `service.name` of OTEL_RESOURCE_ATTRIBUTES, if it is "
        "there.",
    )
    otel_sdk_disabled: bool = setting(
        "Monitoring",
        False,
        "Send nothing, whatever OTEL_EXPORTER_OTLP_ENDPOINT says.",
    )
