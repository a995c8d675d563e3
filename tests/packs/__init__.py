"""Tests of model packs."""
