"""The report of a review: for the person who answers for the publication, and for an auditor.

It is one HTML file without scripts that loads nothing. No picture in it shows a hidden face.
"""

from app.reporting.page import Report, make_report, report_page, write_report
from app.reporting.second_look import SecondLook, read_second_look

__all__ = [
    "Report",
    "SecondLook",
    "make_report",
    "read_second_look",
    "report_page",
    "write_report",
]
