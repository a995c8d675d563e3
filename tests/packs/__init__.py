"""Tests of model packs and of conversions."""
