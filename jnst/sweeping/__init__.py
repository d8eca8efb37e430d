"""Sweeps: one pair of pictures, many settings; see `jnst.sweeping.driver.sweep`.

| module | concept |
| --- | --- |
| `grid` | fields and their values, from a user's text or mapping to a list of points |
| `members` | a point as a run of its own; which of them one program can run |
| `together` | members of one program side by side, or one after the other |
| `folder` | what is kept on disk, so that a sweep that was killed goes on |
| `table` | records as CSV and LaTeX |
| `sheet` | the contact sheet and the curves |
| `driver` | `sweep` itself |
"""
