"""What each job runs: the built-in language model. Put a function of yours in its place to serve anything else.

def handler(job):
    return {"shout": job["input"]["text"].upper()}

RunPod looks at a repository before it builds it: for the call that starts its SDK, or for "/ping" where a load balancer
asks. What starts podworker is below; this line is only there to be found:

runpod.serverless.start({"handler": handler})
"""

import podworker

if __name__ == "__main__":
    podworker.serve(podworker.LanguageModel())
