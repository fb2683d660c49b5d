"""Making the forecast model from floods that were: `warning train`. Nothing of it runs in the stream."""
