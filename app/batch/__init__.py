"""Hide the faces of many files: with reports, resuming, and children that work side by side.

The Processing job and the command line use it for folders. A file that fails does not stop the
others. A run that is interrupted continues where it stopped when it is started again.
"""
