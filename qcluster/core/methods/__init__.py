"""The methods of this package, one file each, ending in `register(Method(...))`: a new file is a new method everywhere.

Published baselines (`qcluster.baselines`) and methods of users are registered in their own modules.
"""

from importlib import import_module
from pkgutil import iter_modules

_DEFAULT = "mixture"
"""The first method of every list."""

for _name in (_DEFAULT, *(module.name for module in iter_modules(__path__) if module.name != _DEFAULT)):
    import_module(f"{__name__}.{_name}")
