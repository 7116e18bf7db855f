"""From a request to a validated answer: the only place that talks to models. It knows no database and no queue."""
