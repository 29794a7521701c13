"""The IAM actions of each call (workspace-api.md 7), and a policy that grants them."""

import json
from collections.abc import Iterable, Mapping

# For an update, the cloud also looks up the image.
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "UpdateServerGroup": ("workspace:serverGroup:update", "ims:images:list"),
    "ListServerGroups": ("workspace:serverGroup:list",),
    "ShowServerGroup": ("workspace:serverGroup:get",),
    "ShowServerGroupState": ("workspace:serverGroup:getServerState",),
    "ShowServerGroupRestrict": ("workspace:serverGroup:getRestrict",),
    "ValidateServerGroup": ("workspace:serverGroup:validate",),
    "ListServers": ("workspace:server:list",),
    "ListSessions": ("workspace:session:listSessions",),
    "ListVolumeType": ("workspace:baseResource:list",),
    "ListImages": ("ims:images:list",),
}


def identity_policy(actions: Iterable[str]) -> str:
    """An IAM identity policy (version 5.0 of the policy language) that grants the actions, as JSON."""
    statement = {"Effect": "Allow", "Action": sorted(set(actions))}
    return json.dumps({"Version": "5.0", "Statement": [statement]}, indent=2)
