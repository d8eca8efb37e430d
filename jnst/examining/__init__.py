"""What one loss is like, measured in minutes: `jnst examine`.

`subject` calls any loss of the tables on maps, `scene` has the demo pair and what a
network sees of it, `finding` is what a probe says. Each probe is a function from a
`Lab` to a `Finding`; to add one, write it and give it a row in `table.PROBES`.
"""
