"""Mutated records against the stream and the inbox: nothing dies, nothing is lost, no good reading is touched.

In reading order: ``seeds`` (what is mutated, and which words go into it), ``mutate`` (many at once), ``reference`` (what each record is,
by other means than the stream's), ``course`` (the good readings beside them), ``inside`` (decoder, transport and pipeline in this
process), ``brokers`` (a worker and an inbox as processes on a real broker), ``flood`` (what rejects cost the good ones), ``guided``
(atheris), ``agencies`` (messages of agencies in their own formats, up to the log), ``devices``, ``readers``
and ``things`` likewise. Figures: README.md. ``python -m tests.fuzz --help``.
"""
