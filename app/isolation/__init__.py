"""Work on untrusted media in a supervised child process.

A crash, a hang or a lack of memory in a media library then ends one piece of work, not the program.
``Supervisor`` starts the child, gives it one request at a time, and replaces it when it ends;
``Pool`` has several of them, and ``run_child`` is the other side. Both sides speak JSON over a pair
of sockets (``messages``).
"""

from app.isolation.child import Handler, Work, run_child
from app.isolation.errors import ChildFault
from app.isolation.limits import Limits, default_memory
from app.isolation.pool import Pool
from app.isolation.process import Reports
from app.isolation.supervisor import Supervisor

__all__ = [
    "ChildFault",
    "Handler",
    "Limits",
    "Pool",
    "Reports",
    "Supervisor",
    "Work",
    "default_memory",
    "run_child",
]
