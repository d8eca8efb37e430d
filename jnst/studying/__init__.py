"""Studies: contents x styles x methods at equal budgets; see `jnst.study`.

| module | concept |
| --- | --- |
| `names` | names that are safe in a file system, and all different |
| `pictures` | contents and styles, from a folder, a mapping or a list |
| `methods` | a method: a recipe with changes, under a name |
| `budget` | equal steps, equal seconds, or each method's own schedule; the pilot |
| `cells` | a picture of a content, a style, a method and a budget; its record |
| `making` | cells made one after the other, kept and judged |
| `scores` | what metrics say of a cell, and of the content as it was |
| `folder` | what is kept on disk, so that a study that was killed goes on |
| `statistics` | means, paired intervals, which differences hold |
| `table` | the same as text, CSV and LaTeX |
| `gallery` | one HTML page of all pictures |
| `repeating` | the study that a study.json holds, to be run again |
| `driver` | `study` itself |
"""
