"""The IAM action behind each call (workspace-api.md 7), and the policy to paste when one is missing."""

import json
from collections.abc import Iterable, Mapping

# An update needs the second one too, so that the cloud may look the image up.
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
    """An IAM identity policy that grants the actions, as JSON to paste; its grammar's version is 5.0."""
    statement = {"Effect": "Allow", "Action": sorted(set(actions))}
    return json.dumps({"Version": "5.0", "Statement": [statement]}, indent=2)
