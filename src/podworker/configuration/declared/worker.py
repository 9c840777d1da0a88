"""How jobs come to the worker, and how their results leave it."""

from pydantic import SecretStr

from podworker.configuration.kinds import Declarations, Mode, Scheduler, WebAddress, setting


class WorkerSettings(Declarations):
    """How jobs come to the worker, and how their results leave it."""

    mode: Mode = setting(
        "Worker",
        "auto",
        "How jobs come: `queue`, from RunPod's queue; `http`, by requests to this worker, as on a load-balancing "
        "endpoint; `auto`, as RunPod's variables say.",
    )
    scheduler: Scheduler = setting(
        "Worker",
        "podworker",
        "Whose loop takes jobs from RunPod's queue: `podworker`, or `sdk` for the RunPod SDK's own, which is slower.",
    )
    job_timeout_seconds: float | None = setting(
        "Worker",
        None,
        "Seconds that one job may run before it is stopped and failed. Unset: only RunPod's own limit holds, the "
        "endpoint's execution timeout.",
        gt=0,
        le=604_800,
    )
    drain_seconds: float = setting(
        "Worker",
        300,
        "Seconds that running jobs may take to finish after SIGTERM before they are failed.",
        ge=0,
        le=86_400,
    )

    port: int | None = setting(
        "HTTP",
        None,
        "The port to listen on; 0 takes a free one. Unset: 80 on RunPod, as there, 8000 elsewhere.",
        ge=0,
        le=65_535,
    )
    port_health: int | None = setting(
        "HTTP",
        None,
        "One more port, for RunPod's health checks. Unset: they come to PORT.",
        ge=0,
        le=65_535,
    )
    listen_host: str | None = setting(
        "HTTP",
        None,
        "The address to listen on. Unset: every address (`0.0.0.0`) on RunPod, this machine only (`127.0.0.1`) "
        "elsewhere.",
    )
    health_check_path: str = setting(
        "HTTP",
        "/ping",
        "The path of RunPod's health checks, where it was changed on the endpoint. `/ping` answers as well.",
    )
    api_keys: SecretStr | None = setting(
        "HTTP",
        None,
        "Keys, separated by commas, of which clients must send one. Unset: everybody is let in.",
    )
    max_body_mb: float = setting(
        "HTTP",
        30,
        "MB (10^6 bytes) that the body of a request, or of an answer, may have. RunPod's load balancer takes 30.",
        gt=0,
        le=10_000,
    )
    queue_limit: int = setting(
        "HTTP",
        64,
        "Jobs that may wait for a free slot; those that come after them are refused with 429.",
        ge=0,
        le=1_000_000,
    )
    cors_origins: str | None = setting(
        "HTTP",
        None,
        "Web sites, separated by commas, whose pages may call this worker, such as `https://example.com`; `*` for all. "
        "Unset: none.",
    )

    bucket_endpoint_url: WebAddress | None = setting(
        "Large results",
        None,
        "The S3 API, or the bucket's own address, that takes results too large for RunPod. The same variables as those "
        "of RunPod's `rp_upload`. A job's own `s3Config` wins.",
    )
    bucket_access_key_id: SecretStr | None = setting(
        "Large results",
        None,
        "The access key of that bucket; it needs the right to write, and to read for the links that are given out.",
    )
    bucket_secret_access_key: SecretStr | None = setting(
        "Large results",
        None,
        "The secret that belongs to the access key.",
    )
    bucket_name: str | None = setting(
        "Large results",
        None,
        "The bucket. Unset: month and year, such as `08-26`, as `rp_upload` names it; where the address is the "
        "bucket's own, that is a folder in it.",
    )
    bucket_url_seconds: int = setting(
        "Large results",
        604_800,
        "Seconds that the link to such a result works. S3 allows 7 days at most.",
        ge=1,
        le=604_800,
    )
