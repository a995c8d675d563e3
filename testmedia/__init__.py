"""Synthetic media for tests, measurements, demo and smoke test, and measures of a plan.

The truth about synthetic media is known exactly. ``photos`` are real people with labelled faces,
``scene`` moves them over a background, ``clip`` encodes a scene, and ``scenes`` and ``turned`` are
the shared scenes. ``truth`` has the position of each face, and the leaks and spills of a plan.
``videos`` are videos whose frames carry their numbers, ``images`` are frames without a video,
``smoke_media`` makes the media of the smoke test, and ``fetch`` downloads real media.
"""
