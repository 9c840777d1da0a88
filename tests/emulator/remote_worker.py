"""A worker that a test drives by hand, over HTTP, as the SDK would."""

import io
import json

import aiohttp

from podworker.emulator import Emulator


class RemoteWorker:
    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession, worker_id: str) -> None:
        self.id = worker_id
        self._session = session
        self._environment = emulator.worker_environment(worker_id)
        self.headers = {"Authorization": self._environment["RUNPOD_AI_API_KEY"]}

    def take_url(self, count: int = 1) -> str:
        url = self._environment["RUNPOD_WEBHOOK_GET_JOB"].replace("$ID", self.id)
        if count > 1:
            url = url.replace("/job-take/", "/job-take-batch/") + f"&batch_size={count}"
        return f"{url}&job_in_progress=0"

    async def take(self) -> dict[str, object] | None:
        async with self._session.get(self.take_url(), headers=self.headers) as response:
            if response.status == 204:
                return None
            assert response.status == 200
            assert response.content_type == "application/json"
            job = await response.json()
            assert isinstance(job, dict)
            return job

    async def take_id(self) -> str:
        job = await self.take()
        assert job is not None
        return str(job["id"])

    async def take_batch(self, count: int) -> list[str]:
        async with self._session.get(self.take_url(count), headers=self.headers) as response:
            return [job["id"] for job in await response.json()]

    async def stops(self) -> list[str]:
        url = self.take_url().replace("/job-take/", "/job-stop/")
        async with self._session.get(url, headers=self.headers) as response:
            if response.status == 204:
                return []
            ids = (await response.json())["jobsToStop"]
            assert isinstance(ids, list)
            return ids

    async def ping(self, **query: str) -> int:
        url = self._environment["RUNPOD_WEBHOOK_PING"].replace("$RUNPOD_POD_ID", self.id)
        async with self._session.get(url, headers=self.headers, params=query) as response:
            return response.status

    async def stream(self, job_id: str, chunk: object) -> int:
        return await self.post("STREAM", job_id, json.dumps({"output": chunk}).encode())

    async def done(self, job_id: str, **result: object) -> int:
        return await self.post("OUTPUT", job_id, json.dumps(result).encode())

    async def post(self, kind: str, job_id: str, body: bytes) -> int:
        url = self._environment[f"RUNPOD_WEBHOOK_POST_{kind}"].replace("$RUNPOD_POD_ID", self.id).replace("$ID", job_id)
        headers = {**self.headers, "charset": "utf-8", "Content-Type": "application/x-www-form-urlencoded"}
        async with self._session.post(f"{url}&isStream=false", headers=headers, data=io.BytesIO(body)) as response:
            await response.read()
            return response.status
