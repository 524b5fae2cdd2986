"""How much hypothesis looks: `FASTFEAT_HYPOTHESIS=long` for thousands of examples, `more` for hundreds, else few."""

import os

from hypothesis import HealthCheck, Phase, settings

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)

# Without `explain`, which traces every line of the judge and takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)

settings.register_profile(
    "ci", max_examples=15, deadline=None, print_blob=True, phases=PHASES, suppress_health_check=SLOW
)
settings.register_profile("more", settings.get_profile("ci"), max_examples=200)
settings.register_profile("long", settings.get_profile("ci"), max_examples=3_000)
settings.load_profile(os.environ.get("FASTFEAT_HYPOTHESIS", "ci"))
