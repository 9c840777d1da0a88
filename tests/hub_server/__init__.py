"""A local Hugging Face hub for tests and measurements."""

from tests.hub_server.faults import Fault, Kind
from tests.hub_server.server import TOKEN, HubServer

__all__ = ["TOKEN", "Fault", "HubServer", "Kind"]
