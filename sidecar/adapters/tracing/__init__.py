"""Where did a request spend its time? Told to whoever keeps traces, where the environment says so.

Only what is in here knows OpenTelemetry, and nothing imports it unless requests are traced.
"""
