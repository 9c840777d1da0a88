"""What a request may hold, route by route: checked before the engine sees it."""
