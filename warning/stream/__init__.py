"""The Faust worker: one beat of one partition at a time, checkpointed; replay; the embedded broker."""
