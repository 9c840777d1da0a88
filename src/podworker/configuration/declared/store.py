"""Where models are kept, and how they get there."""

from pathlib import Path

from pydantic import SecretStr

from podworker.configuration.kinds import Declarations, WebAddress, setting


class StoreSettings(Declarations):
    """Where models are kept, and how they get there."""

    model_store: Path | None = setting(
        "Model store",
        None,
        "The folder that keeps downloaded models; all workers of an endpoint share it. Unset: `podworker-models` on "
        "the network volume, else in the user's cache folder.",
    )
    model_store_max_gb: float | None = setting(
        "Model store",
        None,
        "GB (10^9 bytes) that the store may hold. To make room, the least recently used models are deleted, but none "
        "in use. Unset: nothing is deleted.",
        gt=0,
        le=1_000_000,
    )
    model_lease_seconds: float = setting(
        "Model store",
        30,
        "Seconds without a sign of life after which another worker takes over a download. The same for all workers of "
        "a store.",
        ge=1,
        le=3600,
    )
    offline: bool = setting(
        "Model store",
        default=False,
        description="Never use the network to find or fetch a model; what is missing is an error.",
    )
    runpod_model_cache: Path = setting(
        "Model store",
        Path("/runpod-volume/huggingface-cache/hub"),
        'Where RunPod puts the models chosen in an endpoint\'s setting "Model". It is only read.',
    )
    hf_hub_cache: Path | None = setting(
        "Model store",
        None,
        "The Hugging Face cache, in which models are looked for, and only read. Unset: `hub` in HF_HOME.",
    )
    hf_home: Path | None = setting(
        "Model store",
        None,
        "Where Hugging Face's tools keep their files. Unset: `huggingface` in the user's cache folder.",
    )

    hf_token: SecretStr | None = setting(
        "Downloads",
        None,
        "The Hugging Face token, for private and gated repositories. On RunPod, keep it in a secret.",
    )
    hf_endpoint: WebAddress = setting(
        "Downloads",
        "https://huggingface.co",
        "The Hugging Face hub, or a mirror of it.",
    )
    aws_access_key_id: SecretStr | None = setting(
        "Downloads",
        None,
        "The access key for `s3://` models. Unset: requests are not signed, as public buckets allow.",
    )
    aws_secret_access_key: SecretStr | None = setting(
        "Downloads",
        None,
        "The secret that belongs to the access key.",
    )
    aws_session_token: SecretStr | None = setting(
        "Downloads",
        None,
        "The session token of a temporary access key.",
    )
    aws_endpoint_url: WebAddress | None = setting(
        "Downloads",
        None,
        "The S3 API to use, such as `https://s3api-eu-ro-1.runpod.io` for a RunPod volume. Unset: Amazon's.",
    )
    aws_region: str | None = setting(
        "Downloads",
        None,
        "The bucket's region. Unset: taken from a RunPod endpoint's name, else us-east-1.",
    )
    download_connections: int = setting(
        "Downloads",
        8,
        "Connections that fetch one file at the same time.",
        ge=1,
        le=64,
    )
    download_connect_timeout_seconds: float = setting(
        "Downloads",
        10,
        "Seconds that a connection may take to open before it is tried again.",
        gt=0,
        le=3600,
    )
    download_idle_timeout_seconds: float = setting(
        "Downloads",
        30,
        "Seconds that an open connection may be silent before it is replaced.",
        gt=0,
        le=3600,
    )
    download_patience_seconds: float = setting(
        "Downloads",
        300,
        "Seconds without a single new byte, over all connections, after which a download is given up.",
        gt=0,
        le=86_400,
    )
