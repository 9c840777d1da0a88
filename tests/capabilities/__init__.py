"""What llama.cpp can do, through the built-in handler and the real engine."""
