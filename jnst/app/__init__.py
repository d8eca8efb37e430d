"""The page in a browser: what is asked there, one run at a time, what it shows.

`asked` reads the page's fields, `desk` runs what is asked, one after the other,
`shown` writes the HTML, `layout` and `page` put it together with Gradio (the extra
`app`), `serving` serves it on 127.0.0.1 alone.
"""
