"""Lists the rules, by the names that they have in a configuration."""

from collections.abc import Mapping

from keras_dynamic.exits.fitting import (
    accuracy_drop,
    budgeted_batch,
    budgeted_drop,
    conformal,
    cost_budget,
    promised_drop,
    scheduler,
    upper_bound,
)
from keras_dynamic.exits.fitting.rule import Rule

RULES: Mapping[str, Rule] = {
    module.RULE.name: module.RULE
    for module in (
        accuracy_drop,
        budgeted_drop,
        promised_drop,
        cost_budget,
        budgeted_batch,
        scheduler,
        conformal,
        upper_bound,
    )
}
