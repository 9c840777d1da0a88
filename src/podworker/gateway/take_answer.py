"""RunPod's answer to a request for jobs, read so that a job that cannot be read costs no other job.

A client may send what Python's `json` refuses: levels without end, a number of thousands of digits, bytes that are no
UTF-8. RunPod hands it out beside other clients' jobs. The SDK would drop the whole answer, and all of its jobs would
hang until their timeouts.
"""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from aiohttp import ClientPayloadError, ClientResponse

from podworker.errors import InvalidInput

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN = rb'(?s:"id"\s*+:\s*+(' + _STRING + rb")|" + _STRING + rb"|[\[\]{}])"
"""What tells where a job begins and ends; a pair of `id` and its text is one token. Hardly ever needed, so it is
compiled when it is."""


class TakeAnswer(ClientResponse):
    """What the SDK's session answers with, where it is told so (`response_class`)."""

    async def json(self, **options: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The answer; in place of the input of a job that cannot be read stands the `InvalidInput` that says why.

        Raises:
            ClientPayloadError: Nothing in it can be read.
        """
        try:
            answer = await super().json(**options)
        except (ValueError, RecursionError):
            jobs = await asyncio.to_thread(lambda text: list(_jobs(text)), await self.read())
            if not jobs:
                raise ClientPayloadError("The answer is not JSON.") from None
            return jobs
        # The SDK wants an input, and would drop the job; of a batch it does not.
        return [answer] if isinstance(answer, dict) and "id" in answer and "input" not in answer else answer


def _jobs(text: bytes) -> Iterator[Any]:
    """The jobs in an answer, each read by itself."""
    level = 2 if text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") else 1
    depth = begin = 0
    job_id: bytes | None = None
    for token in re.finditer(_TOKEN, text):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                if depth == level:
                    begin, job_id = token.start(), None
            case b"}" | b"]":
                if depth == level:
                    yield _job(text[begin : token.end()], job_id)
                depth -= 1
            case _ if depth == level and token[1]:
                job_id = token[1]


def _job(text: bytes, job_id: bytes | None) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except RecursionError:
        fault = "is nested too deeply. Send the job with fewer levels"
    except UnicodeDecodeError:
        fault = "is not UTF-8. Send the job in that encoding"
    except json.JSONDecodeError:
        fault = "is not JSON. Correct it and send the job again"
    except ValueError:  # int() raises it
        fault = f"has a number of more than {sys.get_int_max_str_digits():,} digits. Send it as text"
    refusal = InvalidInput(f"input {fault}.", param="input")
    return {"id": json.loads(job_id), "input": refusal} if job_id else {}
