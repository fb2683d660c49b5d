"""Who is told: contacts, their consent, and agencies that subscribed. In SQL, by place, whatever their number."""
