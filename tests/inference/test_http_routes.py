from podworker.errors import AccessDenied, InvalidInput
from podworker.inference.http_routes import _USES, http_routes
from podworker.inference.request_form import read_request
from podworker.inference.routes import ROUTES


def test_every_route_says_what_it_does() -> None:
    assert set(_USES) == set(ROUTES)


def test_each_request_is_a_job_that_the_model_reads() -> None:
    for route in http_routes():
        request = read_request(route.job_input(None if route.method == "GET" else route.example))
        assert request.route is ROUTES[route.path]
        assert request.raw


def test_errors_in_the_form_of_the_protocol() -> None:
    routes = {route.path: route for route in http_routes()}
    error = InvalidInput("messages: is missing.", param="messages")
    assert routes["/v1/chat/completions"].error_body(error) == {"error": error.body()}
    assert routes["/v1/messages"].error_body(AccessDenied("No.")) == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "No."},
    }
