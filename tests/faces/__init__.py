"""Tests of detectors and recognisers."""
