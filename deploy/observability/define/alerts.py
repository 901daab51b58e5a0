"""Every rule, in groups, in the files that they are written to."""

from . import causes, clock, recovery_causes, sink_causes, slo, spool_causes, watch
from .model import Alert, Group, Record

FILES = {
    "slo": tuple(slo.groups()),
    "causes": (
        Group("milepost-causes", (*clock.RECORDS, *causes.causes())),
        # Of days: nothing that is more urgent than a minute.
        Group("milepost-traffic", (*causes.TRAFFIC, *causes.traffic()), "1m"),
    ),
    "sink": (Group("milepost-sink", tuple(sink_causes.causes())),),
    "recovery": (Group("milepost-recovery", tuple(recovery_causes.causes())),),
    "spool": (Group("milepost-spool", tuple(spool_causes.causes())),),
    "watch": (Group("milepost-watch", tuple(watch.watch())),),
}
RULES = tuple(rule for groups in FILES.values() for group in groups for rule in group.rules)
ALERTS = tuple(rule for rule in RULES if isinstance(rule, Alert))
RECORDS = tuple(rule for rule in RULES if isinstance(rule, Record))
