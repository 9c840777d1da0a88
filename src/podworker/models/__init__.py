"""Model management: which model is served, and where its file is."""
