"""Who has not been reached, from both databases, for the command."""

from __future__ import annotations

from collections.abc import AsyncIterator

from warning.deployment import Deployment
from warning.people.acknowledged import Acknowledgements
from warning.people.tables import address
from warning.people.unreached import MOST, Missed, Unreached
from warning.wiring import clock_ms


async def unreached(deployment: Deployment, alert: str = "") -> AsyncIterator[Missed]:
    """Of one alert, else of all that hold now, the newest first. Raises Unavailable."""
    answers = Acknowledgements(address(deployment))
    reading = Unreached(deployment.database, answers)
    try:
        for identifier in [alert] if alert else await reading.alerts(clock_ms()):
            after = ""
            while some := await reading.of(identifier, after):
                for one in some:
                    yield one
                after = some[-1].contact
                if len(some) < MOST:
                    break
    finally:
        await reading.close()
        await answers.close()
