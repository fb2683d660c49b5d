"""From a hazard to a document and its words: life cycle, rules, CAP, messages. Pure: no clock, no file, no network."""
