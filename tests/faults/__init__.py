"""The failure simulator: real processes, a fault at a random moment, and the reckoning against the file replay of the run's own log.

In reading order: ``load`` (the made-up region and its water), ``keeper`` and ``cluster`` (processes, brokers), ``world`` (one whole
deployment), ``feed`` (pushes readings and writes down what was acknowledged), ``breaks`` (the faults), ``verdict`` (what must hold),
``run`` and ``results`` (one run, all runs). How to run it: README.md.
"""
