"""Arrays in, arrays out: quality control, windows, routing, forecast, hazard. Pure: no clock, no file, no network."""
