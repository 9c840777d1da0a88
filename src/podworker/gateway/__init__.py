"""The API gateway: jobs in, results out, for any handler. It knows nothing of language models."""
