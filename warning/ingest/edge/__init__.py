"""The edge node: takes sensors on the spot, keeps, forwards over a bad link, sounds the siren by itself. No Kafka, no SQLAlchemy."""
