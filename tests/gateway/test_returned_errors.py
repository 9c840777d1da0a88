import pytest

from podworker.errors import ReturnedError
from podworker.gateway.returned_errors import returned_error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("no GPU", "no GPU"),
        ({"message": "no GPU", "code": 7}, "no GPU"),
        ({"reason": "no GPU", "tried": ["cuda"]}, '{"reason": "no GPU", "tried": ["cuda"]}'),
        ({"message": ""}, '{"message": ""}'),
        ({"message": {"de": "zu groß"}}, '{"de": "zu groß"}'),
        (["a", 1], '["a", 1]'),
        (404, "404"),
        (True, "true"),
    ],
)
def test_a_returned_error_becomes_a_sentence(error: object, message: str) -> None:
    found = returned_error(error)
    assert found.message == message
    assert found.body() == ReturnedError(message).body()


def test_what_an_error_says_of_itself_is_kept() -> None:
    error = {
        "message": "Too dark.",
        "code": "dark",
        "type": "invalid_request_error",
        "param": "input.image",
        "retryable": True,
        "status": 422,
    }
    assert returned_error(error).body() == error


def test_what_is_not_well_formed_is_not() -> None:
    error = {"message": "Too dark.", "code": 7, "type": None, "param": ["a"], "retryable": "yes", "status": 200}
    assert returned_error(error).body() == ReturnedError("Too dark.").body()
    assert returned_error({"message": "Too dark.", "status": True}).status == 500
