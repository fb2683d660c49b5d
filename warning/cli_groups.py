"""Commands about a region that is named first: ``warning sensors REGION show A`` is ``warning sensors show REGION A``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class RegionFirst(TyperGroup):
    """Takes the region before or after the command; without a command it is ``list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            named = not args[0].startswith("-") and len(args) > 1 and args[1] in self.commands
            args = [args[1], args[0], *args[2:]] if named else ["list", *args]
        return super().parse_args(ctx, args)
