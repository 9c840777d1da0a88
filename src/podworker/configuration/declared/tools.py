"""Where the command line sends jobs."""

from pydantic import SecretStr

from podworker.configuration.kinds import Declarations, WebAddress, setting


class ToolSettings(Declarations):
    """Where the command line sends jobs."""

    runpod_endpoint_base_url: WebAddress = setting(
        "Client",
        "https://api.runpod.ai/v2",
        "Where `podworker call` sends jobs. RunPod's own client reads the same variable.",
    )
    runpod_api_key: SecretStr | None = setting(
        "Client",
        None,
        "The RunPod API key that `podworker call`, `podworker chat` and `podworker deploy` send.",
    )
