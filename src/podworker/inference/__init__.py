"""The inference engine: llama.cpp's server as a supervised child, and the built-in language-model handler on it."""
