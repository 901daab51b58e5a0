"""Every board, the one to start with first."""

from .fleet import of_one_fleet
from .overview import overview
from .rabbitmq import rabbitmq
from .receiver import receiver
from .sink import sink
from .worker import worker

BOARDS = tuple(map(of_one_fleet, (overview(), receiver(), worker(), sink(), rabbitmq())))
