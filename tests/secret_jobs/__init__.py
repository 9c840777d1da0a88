"""Jobs with secrets in prompts, settings, URLs and errors, and the search for them in all that leaves a worker."""
