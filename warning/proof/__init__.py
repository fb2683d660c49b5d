"""What lets others check us: signed documents, the codes of messages, the chain of the audit."""
