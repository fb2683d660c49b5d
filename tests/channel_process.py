"""A dispatcher as a process of its own, for tests that kill it: ``python channel_process.py SETTINGS.json``."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path

from warning import config
from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.facts import nobody


def contacts(many: int):
    """Every third one has only a webhook, by four endpoints; the rest a phone, every second in Urdu."""
    import channel_world as world

    for number in range(many):
        if number % 3 == 2:
            yield world.contact(number, hook=f"h{number % 4}", phone=False)
        else:
            yield world.contact(number, language="ur" if number % 2 else "en")


async def main(settings: dict) -> None:
    region = replace(config.load(Path(settings["region"])), contacts=tuple(contacts(settings["contacts"])))
    where = Deployment(**{**settings["deployment"], "directory": Path(settings["deployment"]["directory"])})
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: [task.print_stack() for task in asyncio.all_tasks()])
    loopback = frozenset({("127.0.0.1", settings["receiver_port"])})
    dispatcher = Dispatcher(region, where, nobody, endpoints=settings["endpoints"], allow_loopback=loopback)
    print("started", flush=True)
    await dispatcher.run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
