"""The guides' pictures, a module for each guide's part of the course; ``docs/pictures.py`` writes the files."""
