"""The endpoint that `podworker deploy` makes. The worker itself reads none of these."""

from podworker.configuration.kinds import (
    Declarations,
    EndpointKind,
    ImageVariant,
    OnOff,
    Scaler,
    WebAddress,
    setting,
)


class DeploymentSettings(Declarations):
    """The endpoint that `podworker deploy` makes."""

    deploy_name: str | None = setting(
        "Deployment",
        None,
        "The endpoint's name, by which `podworker deploy` finds it again.",
    )
    deploy_type: EndpointKind = setting(
        "Deployment",
        "queue",
        "How requests come to its workers: through RunPod's `queue`, or by a `load_balancer`.",
    )
    deploy_image: str | None = setting(
        "Deployment",
        None,
        "Its image. Unset: the published one of this version and of DEPLOY_VARIANT.",
    )
    deploy_registry: str | None = setting(
        "Deployment",
        None,
        "The id of RunPod's credentials for a private image.",
    )
    deploy_variant: ImageVariant = setting(
        "Deployment",
        "auto",
        "Which kind of image it is: `cuda11.8` is for Turing to Ada GPUs, `cuda12.8` for Hopper and Blackwell, too; "
        "`handler` has no engine. `auto`: as the GPUs need it.",
    )
    deploy_gpus: str | None = setting(
        "Deployment",
        None,
        "RunPod's pools of GPUs, the preferred one first, such as `AMPERE_24,ADA_24`; `-NVIDIA L4` leaves a GPU out of "
        "them. Unset: the cheapest on which the model fits.",
    )
    deploy_gpu_count: int | None = setting(
        "Deployment",
        None,
        "GPUs of each worker. Unset: as few as the model fits on.",
        ge=1,
        le=16,
    )
    deploy_cpu: str | None = setting(
        "Deployment",
        None,
        "CPUs instead of GPUs: a flavor of RunPod's and how many, such as `cpu5c-4`.",
    )
    deploy_workers_min: int = setting(
        "Deployment",
        0,
        "Workers that always run, and are always paid.",
        ge=0,
        le=1000,
    )
    deploy_workers_max: int = setting(
        "Deployment",
        3,
        "Workers that may run at the same time.",
        ge=0,
        le=1000,
    )
    deploy_idle_seconds: int = setting(
        "Deployment",
        10,
        "Seconds that a worker waits for the next request before it is stopped; they are paid, too.",
        ge=1,
        le=3600,
    )
    deploy_scaler: Scaler = setting(
        "Deployment",
        "auto",
        "What new workers are started by: `queue_delay`, the seconds that requests wait in the queue; or "
        "`request_count`, the requests in flight for each worker. `auto`: the first for a queue, the second for a load "
        "balancer, which knows no other.",
    )
    deploy_scaler_value: float | None = setting(
        "Deployment",
        None,
        "Those seconds, or those requests. Unset: 4 seconds; SLOTS requests, or 4.",
        ge=0.5,
        le=10_000,
    )
    deploy_flashboot: OnOff = setting(
        "Deployment",
        "on",
        "FlashBoot: RunPod keeps the state of stopped workers, and wakes them faster.",
    )
    deploy_execution_seconds: int = setting(
        "Deployment",
        600,
        "Seconds that one job may take, its wait for a worker not counted.",
        ge=5,
        le=86_400,
    )
    deploy_volumes: str | None = setting(
        "Deployment",
        None,
        "The ids of network volumes, separated by commas: at most one for each data centre. Models are kept there.",
    )
    deploy_data_centers: str | None = setting(
        "Deployment",
        None,
        "The data centres that its workers may run in, separated by commas, such as `EU-RO-1,US-TX-3`. Unset: any.",
    )
    deploy_disk_gb: int | None = setting(
        "Deployment",
        None,
        "GB of each worker's own disk. Unset: the model's size and 10, or 10 with a network volume, in steps of 5.",
        ge=1,
        le=10_000,
    )
    runpod_rest_url: WebAddress = setting(
        "Deployment",
        "https://api.runpod.io/v2",
        "RunPod's REST API.",
    )
