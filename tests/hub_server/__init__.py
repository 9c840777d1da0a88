"""A local Hugging Face hub for tests and measurements."""

from hub_server.faults import Fault, Kind
from hub_server.server import TOKEN, HubServer

__all__ = ["TOKEN", "Fault", "HubServer", "Kind"]
