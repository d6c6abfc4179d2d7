"""The plans as one file under version control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonas_supabase.prices._book_file import BookFileProblem, lines_of, read_toml

_KEYS = ("id", "name", "description", "rank", "price_cents", "currency", "per_seat")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlansFile:
    """Plans, each as ``set_plans`` takes it; in the file `unlimited` is an allowance too."""

    plans: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> PlansFile:
        """The plans in a file.

        Raises:
            BookFileProblem: it is no TOML, or has a key that no plan has.
        """
        read = read_toml(path)
        plans = read.get("plan", [])
        if {*read} - {"plan"} or not isinstance(plans, list):
            raise BookFileProblem(f"{path}: it has [[plan]], and nothing else")
        return cls(plans=tuple(_plan(path, nth, plan) for nth, plan in enumerate(plans, 1)))

    @classmethod
    def of(cls, plans: Iterable[Mapping[str, Any]]) -> PlansFile:
        """The plans that `list_plans` has answered."""
        return cls(
            plans=tuple(
                {key: plan[key] for key in _KEYS if plan.get(key) is not None}
                | {
                    "limits": {
                        limit["credit_type"]: {"allowance": limit["allowance"], "rollover_cap": limit["rollover_cap"]}
                        for limit in plan["limits"]
                    }
                }
                for plan in plans
            )
        )

    def text(self) -> str:
        """The file, the smallest plan first."""
        parts = []
        for plan in sorted(self.plans, key=lambda plan: plan["rank"]):
            limits = {
                name: "unlimited" if limit["allowance"] is None else limit["allowance"]
                for name, limit in plan["limits"].items()
            }
            rollover = {name: limit["rollover_cap"] for name, limit in plan["limits"].items() if limit["rollover_cap"]}
            parts += ["[[plan]]", *lines_of(plan, _KEYS), *lines_of({"limits": limits}, ("limits",))]
            parts += [*lines_of({"rollover": rollover}, ("rollover",))] if rollover else []
            parts.append("")
        return "\n".join(parts)


def _plan(path: Path, nth: int, plan: Any) -> dict[str, Any]:
    if not isinstance(plan, dict) or not isinstance(plan.get("id"), str):
        raise BookFileProblem(f"{path}: plan {nth} has no id")
    unknown = sorted({*plan} - {*_KEYS, "limits", "rollover"})
    limits, rollover = plan.get("limits", {}), plan.get("rollover", {})
    if unknown or not isinstance(limits, dict) or not isinstance(rollover, dict):
        raise BookFileProblem(f"{path}: plan {plan['id']} has {', '.join(unknown) or 'no table'}, which no plan has")
    for name, allowance in limits.items():
        if allowance != "unlimited" and (not isinstance(allowance, int) or isinstance(allowance, bool)):
            raise BookFileProblem(f"{path}: plan {plan['id']}: {name} is a whole number or 'unlimited'")
    return {key: plan[key] for key in _KEYS if key in plan} | {
        "limits": {
            name: {"allowance": None if allowance == "unlimited" else allowance, "rollover_cap": rollover.get(name, 0)}
            for name, allowance in limits.items()
        }
    }
