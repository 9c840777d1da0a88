"""Worker processes that share a store, and the source that they fetch from."""
