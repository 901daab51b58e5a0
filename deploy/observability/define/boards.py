"""Every board, the one to start with first."""

from .overview import overview
from .rabbitmq import rabbitmq
from .receiver import receiver
from .worker import worker

BOARDS = (overview(), receiver(), worker(), rabbitmq())
