"""Face blur: hide chosen people's faces in video.

Every stage is a part with a narrow contract (``app.types``) and can be replaced on its own:
source, shot detector, sampler, face detector, tracker, recogniser, policy, effect, sink.
``app.pipeline`` is the only module that puts them together.
"""
