"""Compiles the native step when demur is installed or a wheel of it is made (docs/decisions/0024)."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))  # an isolated build has only hatchling

from models.native.build import BuildError, build


class NativeStepHook(BuildHookInterface[Any]):
    """Adds the library to a wheel, which then fits one platform and any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or go on without where that fails: torch computes the network then."""
        if self.target_name != "wheel":
            return
        try:
            library = build()
        except BuildError as error:
            self.app.display_warning(f"demur's native step is left out, torch will be used: {error}")
            return
        if version != "editable":
            build_data["artifacts"].append(str(library.relative_to(self.root)))
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
