"""The world of wit/world.wit; componentize-py looks for its interfaces here."""

from client import Client as Client
from counters import Counters as Counters
