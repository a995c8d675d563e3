"""Tests of app.isolation."""
