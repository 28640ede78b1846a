"""Typed Python packages for the worlds of components: ``hlwasm bindgen``.

``package.generate`` makes the files of a description, ``files.write`` puts them into a folder.
Generated code imports ``runtime``, so nothing of the generator is imported here.
"""
