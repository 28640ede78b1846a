"""Sample components; ``build.py`` builds them, ``samples.py`` lists them."""
