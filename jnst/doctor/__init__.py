"""Is all well here: machine, device, weights, caches, and a known run.

`finding` says what a check finds, `report` runs them all; each other module is a few
checks. To add one, add a row to `jnst.doctor.report.CHECKS`.
"""
