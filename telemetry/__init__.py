"""What processes tell of themselves while they work: log lines and traces. Ids and figures; never a document, prompt or answer."""
