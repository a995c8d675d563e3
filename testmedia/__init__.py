"""Clips whose truth is known exactly, and measures of a plan against that truth.

``photos`` are real people whose face rectangles were measured once, ``scene`` moves them over a
background, ``clip`` encodes that, ``scenes`` are the clips that tests and measurements share, and
``truth`` says where each face is and what a plan leaked or hid too much.
"""
