"""Flood early warning for river corridors: from a reading at a gauge to a warning on a phone.

The modules in reading order; nothing imports upwards (held by ``tests/test_house.py``):

``errors``      what can go wrong, each with a bounded reason
``model``       the nouns that travel: Level, Flag, Reading, Hazard, Alert, Delivery, Receipt
``region``      the nouns that stand still: Station, Zone, Reach, Rules, Contact, Region
``deployment``  where one deployment lives: brokers, topics, database, ports
``config``      one folder of ``config/`` -> one frozen Region
``science``     arrays in, arrays out: quality, windows, routing, forecast, hazard
``alerts``      life cycle, rules, CAP, words
``pipeline``    step(plan, state, beat, now): every decision, pure
``ingest``      readings in     ``stream``   the Faust worker, checkpoints, replay
``dispatch``    warnings out    ``operate``  metrics, health, API, page
``wiring``      one straight-line function per process
``cli``         the command line
"""

__version__ = "0.4.0"
