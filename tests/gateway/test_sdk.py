"""The SDK without its slow parts. Each test needs an interpreter that has not imported it yet."""

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_put_off_works_when_it_is_wanted() -> None:
    code = """
from podworker.gateway.sdk import load_sdk
fitness = load_sdk()
import sys
print(fitness.__name__)
print("paramiko.transport" in sys.modules)
import paramiko
print(paramiko.RSAKey.__name__)
print("tomlkit.api" in sys.modules)
import tomlkit
print(tomlkit.dumps({}) == "")
print("cpuinfo.cpuinfo" in sys.modules)
import cpuinfo
print("arch" in cpuinfo.get_cpu_info())
print("aiodns.error" in sys.modules)
import asyncio, aiohttp
async def look_up():
    resolver = aiohttp.AsyncResolver()
    try:
        return (await resolver.resolve("127.0.0.1", 80))[0]["host"]
    finally:
        await resolver.close()
print(asyncio.run(look_up()))
print("tqdm.std" in sys.modules)
from runpod.serverless.utils import rp_upload
print(rp_upload.tqdm(range(2), disable=True).total)
"""
    module, *facts = run(code).split()
    assert module == "runpod.serverless.modules.rp_fitness"
    assert facts == ["False", "RSAKey", "False", "True", "False", "True", "False", "127.0.0.1", "False", "2"]


def test_the_cpu_is_not_surveyed() -> None:
    code = """
import cpuinfo
def survey():
    raise SystemExit("surveyed")
cpuinfo.get_cpu_info = survey
from podworker.gateway.sdk import load_sdk
load_sdk()
print(cpuinfo.get_cpu_info is survey)
"""
    assert run(code) == "True"


def test_it_logs_by_our_log_and_no_debug_lines() -> None:
    code = """
from podworker.monitoring import logs
logs.configure(log_format="text")
from podworker.gateway.sdk import load_sdk
load_sdk()
from runpod import RunPodLogger
RunPodLogger().debug("prompt")
RunPodLogger().info("Started.", "job-1")
RunPodLogger().warn("trouble", "job-1")
"""
    assert run(code).partition(" ")[2] == "WARNING job-1  trouble"


def test_its_debug_lines_quote_outputs_and_need_log_content() -> None:
    code = """
import logging
from podworker.configuration import load_settings
from podworker.monitoring import logs
from podworker.gateway.sdk import load_sdk
load_sdk()
from runpod import RunPodLogger
for allowed in (False, True):
    logs.configure(load_settings(log_content=allowed, log_format="text"))
    RunPodLogger().debug(f"output, {allowed}")
    RunPodLogger().error("trouble")
"""
    lines = run("import os; os.environ['RUNPOD_LOG_LEVEL'] = 'DEBUG'" + code).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["ERROR   trouble", "DEBUG   output, True", "ERROR   trouble"]
