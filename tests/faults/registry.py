"""All faults by name."""

from __future__ import annotations

from . import breaks_processes
from .fault import Fault, NoFault

FAULTS: dict[str, type[Fault]] = {
    each.name: each
    for each in (
        NoFault,
        breaks_processes.Kill9,
        breaks_processes.Zombie,
        breaks_processes.FrozenDispatcher,
        breaks_processes.Join,
        breaks_processes.Leave,
        breaks_processes.ProducerRepeats,
        breaks_processes.GatewayAnswersLost,
    )
}
