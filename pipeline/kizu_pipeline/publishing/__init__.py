"""Results for programs outside: from the records' outbox to a webhook or an MQTT broker, in order, at least once."""
