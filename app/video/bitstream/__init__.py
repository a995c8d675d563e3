"""Parsing of coded video: NAL units, SEI messages, parameter sets, and key frames."""
