"""The durable event log: what was acknowledged, in one order."""
