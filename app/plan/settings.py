"""The settings of a rendering: those that the plan recorded, and those that are given now."""

from app.config import PLAN_SETTINGS, Settings
from app.errors import ConfigError, PlanError
from app.plan.records import Plan


def rendering_settings(plan: Plan, given: Settings, label: object) -> Settings:
    """Return the settings that were ``given`` explicitly, merged over those of the plan.

    ``label`` is the plan's name in messages.

    Raises:
        PlanError: the settings in the plan are invalid.
    """
    recorded = {key: plan.settings[key] for key in PLAN_SETTINGS if key in plan.settings}
    try:
        return Settings(**recorded | given.model_dump(exclude_unset=True))
    except ConfigError as error:
        raise PlanError(
            f"{label}: settings: {error}; correct it, or analyse the input again"
        ) from error
