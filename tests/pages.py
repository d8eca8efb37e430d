"""Pages of HTML as tests read them, and a name that would like to be code."""

from html.parser import HTMLParser

HOSTILE = "\"><img src=x onerror=alert(1)>'&"
VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """Elements of a page in order, (name, attributes); and whether they close."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag, **known):
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and all(attrs.get(k) == v for k, v in known.items())
        ]
