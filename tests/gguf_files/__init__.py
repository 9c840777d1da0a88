"""Tiny GGUF files for tests: whole ones, mutated ones, and the engine that tries to load them."""
