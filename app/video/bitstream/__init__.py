"""Read coded video without decoding it: NAL units, parameter sets and key frames."""
