"""What each job runs: the built-in language model. Put a function of yours in its place to serve anything else.

def handler(job):
    return {"shout": job["input"]["text"].upper()}
"""

import podworker

if __name__ == "__main__":
    podworker.serve(podworker.LanguageModel())
