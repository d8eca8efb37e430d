"""The user's own step, measured: cases, timing, peers, reports; see `jnst bench`."""
