"""What stands between this project and an endpoint: RunPod's Hub page, its REST API, and the GPUs that fit a model."""
