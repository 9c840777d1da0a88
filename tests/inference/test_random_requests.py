"""A few of the requests of `scripts/soak requests`."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.random_requests.malformed import malformed
from tests.random_requests.requests import Models, models


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with models(tmp_path_factory.mktemp("models")) as found:
        yield found


@settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # the failing request as it is: to make it smaller takes long
    suppress_health_check=list(HealthCheck),
)
@given(job_input=malformed())
def test_each_is_answered_or_refused_in_our_words(served: Models, job_input: object) -> None:
    assert served.fault(job_input) == ""
