"""What a run will need, before it: memory, time, the largest size, and what would help.

`targets` says for which device, `weights` what programs need in memory, `pace` how long
a step takes, `ways` which settings need less, `forecast` all of it as one document.
"""
