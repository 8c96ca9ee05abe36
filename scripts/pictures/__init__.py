"""Pictures of the terminal for the pages: `python -m scripts.pictures` (as root) makes all of them anew."""
