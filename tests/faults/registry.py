"""All faults by name."""

from __future__ import annotations

from . import breaks_around as around
from . import breaks_brokers as brokers
from . import breaks_field as field
from . import breaks_processes as processes
from . import breaks_records as records
from .fault import Fault, NoFault

FAULTS: dict[str, type[Fault]] = {
    each.name: each
    for each in (
        NoFault,
        processes.Kill9,
        field.Field,
        processes.Zombie,
        processes.FrozenDispatcher,
        processes.Join,
        processes.Leave,
        processes.ProducerRepeats,
        processes.GatewayAnswersLost,
        brokers.LeaderKilled,
        brokers.BrokersAway,
        brokers.SlowBroker,
        brokers.CheckpointRefused,
        brokers.CommitRefused,
        brokers.OutputRefused,
        brokers.BrokerDiskFull,
        brokers.BadCrc,
        records.BadJson,
        records.BigRecord,
        around.WorkerClock,
        around.GatewayClock,
        around.DispatcherClock,
        around.NamesGone,
        around.DatabaseLocked,
        around.DatabaseAway,
        around.LedgerDiskFull,
        around.SmsAway,
        around.SmsFrozen,
        around.WebhooksAway,
    )
}
