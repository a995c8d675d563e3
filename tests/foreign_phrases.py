"""Phrases of libraries and systems that no message of ours may contain."""

import re

FOREIGN = re.compile(
    r"Input should|Value error|validation error|Assertion failed|type=|input_value|pydantic|Field "
    r"|unable to parse|valid (integer|number|string|boolean|path|list|tuple|dictionary|UTF)"
    r"|Unexpected keyword|<(_io|class|function|av|PIL|Path)|BufferedReader|object at 0x|Errno"
    r"|No such file or directory|Is a directory|Not a directory|Permission denied"
    r"|File name too long|Too many levels|Invalid argument|Invalid data found|embedded null"
    r"|Expecting|Extra data|Unterminated|Invalid control|codec can't|invalid start byte"
    r"|Invalid value|Invalid statement|Expected '|invalid literal|could not convert"
    r"|not supported between|must be str|NoneType"
    r"|argument |arguments are|unrecognized|invalid choice|invalid \w+ value|Traceback|\w+Error\b"
    r"|\b(select|drop_stream|tickets)[.\[]\d|urlopen|Exceeds the limit|cannot identify|bug"
)
"""What pydantic, argparse, json, tomllib, PIL, urllib and the system say, and indices of lists."""


def foreign(message: str) -> list[str]:
    """The foreign phrases in a message."""
    return [match[0] for match in FOREIGN.finditer(message)]
