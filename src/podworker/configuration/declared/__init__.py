"""Every setting, declared once, by what it is about. Errors, `podworker config` and its page read them here."""
