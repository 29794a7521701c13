"""IAM actions: a credential without the action gets a 403."""

import pytest

from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud
from tests.simulator.signing import GROUP, GROUPS, sign_in, signed_call, with_token


class TestActions:
    READ_ONLY = ("SIMULATORREADONLY001", "simulator-secret-key-02")

    def test_a_read_only_key_can_read(self, cloud: Cloud) -> None:
        paths = (
            GROUPS,
            GROUP,
            f"{GROUP}/state",
            f"{GROUPS}/actions/list",
            f"/v1/{PROJECT}/app-servers",
            "/v2/cloudimages",
        )

        assert {signed_call(cloud, path=path, keys=self.READ_ONLY).status_code for path in paths} == {200}

    def test_a_read_only_key_cannot_write(self, cloud: Cloud) -> None:
        tags = f"/v1/{PROJECT}/server-group/{DESIGN_POOL}/tags/create"

        patched = signed_call(cloud, "PATCH", GROUP, keys=self.READ_ONLY, json={"name": "TEST"})
        tagged = signed_call(cloud, "POST", tags, keys=self.READ_ONLY, json={"tags": []})

        assert (patched.status_code, tagged.status_code) == (403, 403)
        assert patched.json() == {
            "error_code": "WKS.00081102",
            "error_msg": "User does not have permission to access this resource: workspace:serverGroup:update",
        }
        assert cloud.history() == []

    @pytest.mark.parametrize(
        ("action", "path"),
        [
            ("workspace:serverGroup:list", GROUPS),
            ("workspace:serverGroup:get", GROUP),
            ("workspace:serverGroup:listDetail", f"{GROUPS}/actions/list"),
            ("workspace:serverGroup:getServerState", f"{GROUP}/state"),
            ("workspace:serverGroup:getRestrict", f"{GROUPS}/resources/restrict"),
            ("workspace:serverGroup:listTags", f"/v1/{PROJECT}/server-group/tags"),
            ("workspace:serverGroup:listTagsForResource", f"/v1/{PROJECT}/server-group/{DESIGN_POOL}/tags"),
            ("workspace:baseResource:list", f"/v1/{PROJECT}/volume-type"),
            ("workspace:server:list", f"/v1/{PROJECT}/app-servers"),
            ("workspace:session:listSessions", f"/v1/{PROJECT}/session/list-sessions"),
            ("ims:images:list", "/v2/cloudimages"),
        ],
    )
    def test_a_control_removes_one_action(self, cloud: Cloud, action: str, path: str) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": [action]})

        assert with_token(cloud, "simulator-token", path).status_code == 403
        assert signed_call(cloud, path=path).status_code != 403

    def test_an_action_removed_from_a_user_is_removed_from_all_tokens(self, cloud: Cloud) -> None:
        token = sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"]
        cloud.control("PUT", "permissions/ops-bot", {"taken": ["workspace:serverGroup:list"]})

        assert with_token(cloud, token).status_code == 403

    def test_a_change_of_the_image_needs_the_action_to_list_images(self, cloud: Cloud) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": ["ims:images:list"]})

        assert cloud.patch({"image_id": "x"}).status_code == 403
        assert cloud.patch({"name": "TEST"}).status_code == 200

    def test_with_a_switch_every_patch_needs_the_action_to_list_images(self, cloud: Cloud) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": ["ims:images:list"]})
        cloud.switch(image_permission="always")

        assert cloud.patch({"name": "TEST"}).status_code == 403
