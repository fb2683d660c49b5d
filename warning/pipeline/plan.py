"""A Region compiled for one partition: rows, indices and limits as arrays."""
