"""docs/policies.md lists the rules and statuses that there are."""

import inspect

from keras_dynamic import exits
from pipeline import config
from pipeline.policies import named_rules
from tests.support import markdown_tables


def _asks_for(rule):
    return ", ".join(
        f"`{named_rules.SETTINGS[name].key}`" for name in rule.settings
    )


def test_its_table_of_rules_is_the_registry():
    markdown_tables.check(
        "docs/policies.md",
        markdown_tables.table(
            (
                "Rule",
                "Asks for",
                "Promises on the calibration images",
                "Promises on others",
            ),
            (
                (f"`{name}`", _asks_for(rule), rule.here, rule.elsewhere)
                for name, rule in exits.RULES.items()
            ),
        ),
    )


def test_its_table_of_statuses_is_the_registry():
    markdown_tables.check(
        "docs/policies.md",
        markdown_tables.table(
            ("Status", "Means"),
            (
                (f"`{status}`", meaning)
                for status, meaning in exits.STATUSES.items()
            ),
        ),
    )


def test_a_rule_has_one_name():
    for name, rule in exits.RULES.items():
        assert getattr(exits, name) is rule.fit
        module = inspect.getmodule(rule.fit)
        assert module.__name__ == f"keras_dynamic.exits.fitting.{name}"
        assert module.RULE is rule


def test_a_rule_s_settings_are_its_arguments_and_keys_of_a_configuration():
    policy = config.default().policy
    asked = set()
    for rule in exits.RULES.values():
        assert set(rule.settings) <= set(inspect.signature(rule.fit).parameters)
        asked |= set(rule.settings)
    assert asked == set(named_rules.SETTINGS)
    assert all(each.key in policy for each in named_rules.SETTINGS.values())
