"""One file a method, each ending in `register(Method(...))`: a new file here is a new method everywhere.

The methods of others (`qcluster.baselines`), and those of users, are registered from where they are.
"""

from importlib import import_module
from pkgutil import iter_modules

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")
