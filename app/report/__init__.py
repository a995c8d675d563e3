"""What was done to a video, for the eyes of a reviewer."""

from app.report.contact_sheet import chosen_frames, contact_sheet, save_png

__all__ = ["chosen_frames", "contact_sheet", "save_png"]
