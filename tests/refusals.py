"""Bad input through the real command line: one line, code 2, and nothing written."""

import hashlib
import os
import stat

from jnst.cli.main import main


def listing(folder):
    """Everything in a folder: names, kinds, sizes and digests of plain files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        plain = stat.S_ISREG(about.st_mode)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
        found[str(path)] = about.st_mode, about.st_size, digest
    return found


def one_line(err):
    """The only line on standard error, which cannot change a terminal."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("jnst: error: ") and lines[0].isprintable(), repr(err)
    return lines[0].removeprefix("jnst: error: ")


def refused(capsys, folder, arguments, *words):
    """The line that a command is refused with, once it has been looked at."""
    before = listing(folder)
    code = main([os.fspath(each) for each in arguments])
    out, err = capsys.readouterr()
    assert listing(folder) == before
    line = one_line(err)
    assert code == 2 and out == ""
    assert len(line) < 2100
    for word in words:
        assert word in line, line
    return line
