"""Reports for reviewers: contact sheets of a video before and after."""

from app.report.contact_sheet import choose_frames, contact_sheet, save_png

__all__ = ["choose_frames", "contact_sheet", "save_png"]
