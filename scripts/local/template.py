"""Values out of the CloudFormation template: the functions that its state machines and rules use.

moto creates a state machine of a stack without its definition. So definitions are read here.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from app.errors import UsageError

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Template:
    """A template with the values that a stack gives it.

    Attributes:
        content: the parsed template.
        values: what ``Ref`` returns: parameters, pseudo parameters and resources.
        attributes: what ``GetAtt`` returns, as ``RESOURCE.ATTRIBUTE``.
    """

    content: Mapping[str, Any]
    values: Mapping[str, Any]
    attributes: Mapping[str, str]

    @classmethod
    def read(
        cls, path: Path, parameters: Mapping[str, str], attributes: Mapping[str, str]
    ) -> "Template":
        """Read a template; parameters that are not given have their defaults."""
        content = cfn_yaml.load(str(path))
        declared = content["Parameters"].items()
        defaults = {name: one["Default"] for name, one in declared if "Default" in one}
        return cls(content, defaults | dict(parameters), attributes)

    def properties(self, resource: str) -> dict[str, Any]:
        """Return the properties of a resource as they stand in the template."""
        return dict(self.content["Resources"][resource]["Properties"])

    def resolve(self, value: Any) -> Any:
        """Return a value with all functions in it replaced by their results.

        Raises:
            UsageError: a function or a name is not known here.
        """
        if isinstance(value, list):
            return [out for one in value if (out := self.resolve(one)) is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in {"Ref", "Condition"} or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {str(name): self.resolve(one) for name, one in value.items()}
        return {name: one for name, one in resolved.items() if one is not _NOTHING}

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return self._reference(argument)
        if name == "Condition":
            return self._condition(argument)
        if name == "Fn::GetAtt":
            place = argument if isinstance(argument, str) else ".".join(argument)
            return self._look_up(self.attributes, place)
        if name == "Fn::Sub":
            return _PLACEHOLDER.sub(lambda found: str(self._reference(found[1])), argument)
        if name == "Fn::Base64":
            return base64.b64encode(str(self.resolve(argument)).encode()).decode()
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self._condition(condition) else no)
        raise UsageError(f"{name}: is not known here")

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        return self._look_up(self.attributes if "." in name else self.values, name)

    def _look_up(self, values: Mapping[str, Any], name: str) -> Any:
        if name not in values:
            raise UsageError(f"{name}: has no value here")
        return values[name]

    def _condition(self, name: str) -> bool:
        return self._holds(self.content["Conditions"][name])

    def _holds(self, test: Any) -> bool:
        ((name, argument),) = test.items()
        if name == "Fn::Equals":
            first, second = (self.resolve(one) for one in argument)
            return bool(first == second)
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(one) for one in argument)
        return self._condition(argument)

    def definition(self, resource: str, **changes: str) -> dict[str, Any]:
        """Return the definition of a state machine, with its substitutions.

        Args:
            resource: its name in the template.
            changes: substitutions to use instead, such as the time between polls.

        Raises:
            UsageError: a placeholder has no value, or a change replaces nothing.
        """
        properties = self.properties(resource)
        given = {
            str(name): str(self.resolve(one))
            for name, one in properties["DefinitionSubstitutions"].items()
        }
        if unknown := set(changes) - set(given):
            raise UsageError(f"{resource}: has no {', '.join(sorted(unknown))}")
        given |= changes
        # As CloudFormation does it: in the text of the definition, whatever the value holds.
        text = json.dumps(properties["Definition"])
        definition: dict[str, Any] = json.loads(
            _PLACEHOLDER.sub(lambda found: self._look_up(given, found[1]), text)
        )
        return definition
