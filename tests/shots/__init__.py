"""Tests of shot detectors."""
