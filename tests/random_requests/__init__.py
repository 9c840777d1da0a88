"""Random requests to the language model: by the thousand as soaks, by the dozen in the tests."""
