"""What stands in for the outside world in a demo: an SMS centre, a webhook receiver, and the reckoning at the end."""
