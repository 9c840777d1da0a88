"""Jobs that are stopped at random moments, and what is then left of them in the engine."""
