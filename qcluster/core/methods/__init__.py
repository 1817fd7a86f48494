"""One file a method, each ending in `register(Method(...))`: a new file here is a new method everywhere.

The methods of others (`qcluster.baselines`), and those of users, are registered from where they are.
"""

from importlib import import_module
from pkgutil import iter_modules

_DEFAULT = "mixture"
"""First in every list of methods."""

for _name in (_DEFAULT, *(found.name for found in iter_modules(__path__) if found.name != _DEFAULT)):
    import_module(f"{__name__}.{_name}")
